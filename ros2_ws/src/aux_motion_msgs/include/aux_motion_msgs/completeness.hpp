// Copyright 2026 The aux_motion contributors
// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the aux_motion maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Whether a PredictionArray or an OccupancyArray may be read as "nobody else is there". Nobody is never assumed.
//
//   const std::string why = aux_motion_msgs::refusal(array, now, 300000000);   // nanoseconds; empty: it may
//
// included by prediction_view.hpp and occupancy_view.hpp.

#ifndef AUX_MOTION_MSGS__COMPLETENESS_HPP_
#define AUX_MOTION_MSGS__COMPLETENESS_HPP_

#include <array>
#include <cstdint>
#include <string>

#include "builtin_interfaces/msg/time.hpp"

namespace aux_motion_msgs
{

/// x, y, z in metres in the frame of the message's header.
using Point = std::array<double, 3>;

/// Nanoseconds since the epoch of the clock that the message was stamped with.
inline std::int64_t to_nanoseconds(const builtin_interfaces::msg::Time & time)
{
  return static_cast<std::int64_t>(time.sec) * 1000000000LL + static_cast<std::int64_t>(time.nanosec);
}

/// Why nothing may be called free by this array, in one line; empty where it may.
///
/// A default-constructed array is refused. `now_ns` is on the clock of the stamps; an oldest input that is older than
/// `max_input_age_ns`, or as far ahead, is refused.
template<typename Array>
std::string refusal(const Array & array, std::int64_t now_ns, std::int64_t max_input_age_ns)
{
  if (array.view != Array::VIEW_COMPLETE) {
    return "view is not complete: view " + std::to_string(array.view) + ", view_reasons " +
           std::to_string(array.view_reasons);
  }
  if (array.unplaced_people > 0) {
    return std::to_string(array.unplaced_people) + " people are reported without a place";
  }
  const std::int64_t oldest = to_nanoseconds(array.oldest_input);
  if (oldest <= 0) {return "oldest_input is not set";}
  const std::int64_t age = now_ns - oldest;
  if (age > max_input_age_ns || -age > max_input_age_ns) {
    return "oldest_input is " + std::to_string(age / 1000000) + " ms old, limit " +
           std::to_string(max_input_age_ns / 1000000) + " ms";
  }
  return "";
}

/// Whether nobody is there: no people, in an array that `refusal` does not refuse. An empty array alone does not say so.
template<typename Array>
bool nobody(const Array & array, std::int64_t now_ns, std::int64_t max_input_age_ns)
{
  return array.people.empty() && refusal(array, now_ns, max_input_age_ns).empty();
}

}  // namespace aux_motion_msgs

#endif  // AUX_MOTION_MSGS__COMPLETENESS_HPP_
