"""Messages on the wire, views of them, and the clock that their stamps are checked by."""
