// Copyright 2026 The aux_motion contributors
// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the aux_motion maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Header-only view over a received aux_motion_msgs/msg/OccupancyArray: no copies of the arrays, sizes checked once.
//
//   // metres from the tool's centre to all that anybody may occupy until then; NaN: somebody may be anywhere
//   const double free = aux_motion_msgs::clearance_until(array, tool, when_ns, now_ns, 300000000);
//   if (free > radius) {...}                       // false for NaN
//
// Person by person: OccupancyView(array, i).distance_until(tool, when). That says nothing of people who are not in the
// array: see refusal in completeness.hpp.
//
// The view refers to the message: the message must outlive it.

#ifndef AUX_MOTION_MSGS__OCCUPANCY_VIEW_HPP_
#define AUX_MOTION_MSGS__OCCUPANCY_VIEW_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

#include "aux_motion_msgs/msg/occupancy_array.hpp"
#include "aux_motion_msgs/msg/person_occupancy.hpp"
#include "aux_motion_msgs/prediction_view.hpp"

namespace aux_motion_msgs
{

/// All that is within `radius` of the line from `a` to `b`; metres in the frame of the message's header.
struct Capsule
{
  Point a;
  Point b;
  double radius;
  std::uint8_t kind;  ///< KIND_* of PersonOccupancy: what the bound in the radius is
  double coverage;    ///< nominal coverage of the bound, NaN where it has none

  /// Distance of a point from the surface, negative inside.
  double distance(const Point & point) const
  {
    double along = 0.0, length = 0.0;
    for (std::size_t i = 0; i < 3; ++i) {
      along += (point[i] - a[i]) * (b[i] - a[i]);
      length += (b[i] - a[i]) * (b[i] - a[i]);
    }
    const double place = length > 0.0 ? std::min(std::max(along / length, 0.0), 1.0) : 0.0;
    double square = 0.0;
    for (std::size_t i = 0; i < 3; ++i) {
      const double off = point[i] - a[i] - place * (b[i] - a[i]);
      square += off * off;
    }
    return std::sqrt(square) - radius;
  }
};

/// One person of an OccupancyArray. Interval k (0-based) is from stamp + k * interval_s to stamp + (k + 1) * interval_s.
class OccupancyView
{
public:
  /// Looks at `array.people[person]`.
  ///
  /// Throws std::out_of_range when there is no such person, std::invalid_argument when the lengths of the person's
  /// arrays do not fit the array's intervals and segments, interval or reach speed are no such numbers, or a radius is
  /// negative.
  OccupancyView(const msg::OccupancyArray & array, std::size_t person)
  : array_(array), person_(array.people.at(person)),
    // interval_s is a float32: 0.04 comes as 0.0399999991; whole microseconds bring it back
    interval_ns_(static_cast<std::int64_t>(std::llround(static_cast<double>(array.interval_s) * 1e6)) * 1000)
  {
    const std::size_t n = intervals() * segments();
    check("ends", person_.ends.size(), 6 * n);
    check("radius", person_.radius.size(), n);
    check("kind", person_.kind.size(), n);
    check("coverage", person_.coverage.size(), n);
    check("body_ends", person_.body_ends.size(), 6 * segments());
    check("body_radius", person_.body_radius.size(), segments());
    if (interval_ns_ <= 0 || n == 0) {
      throw std::invalid_argument(
              "interval_s is " + std::to_string(array_.interval_s) + ", intervals " + std::to_string(intervals()) +
              " and segments " + std::to_string(segments()) + ", expected more than 0 of each");
    }
    if (!std::isfinite(array_.reach_speed_mps) || array_.reach_speed_mps < 0.0f) {
      throw std::invalid_argument(
              "reach_speed_mps is " + std::to_string(array_.reach_speed_mps) + ", expected 0 or more");
    }
    check_radii("radius", person_.radius);
    check_radii("body_radius", person_.body_radius);
  }

  /// The view refers to the message, which a temporary would not outlive.
  OccupancyView(msg::OccupancyArray &&, std::size_t) = delete;

  std::size_t intervals() const {return array_.intervals;}
  std::size_t segments() const {return array_.segment_names.size();}

  /// The person's message, for id, state, reasons and the rest.
  const msg::PersonOccupancy & message() const {return person_;}

  /// Index of a segment by name, nothing when the array has no such segment.
  std::optional<std::size_t> segment_index(const std::string & name) const
  {
    const auto found = std::find(array_.segment_names.begin(), array_.segment_names.end(), name);
    if (found == array_.segment_names.end()) {return std::nullopt;}
    return static_cast<std::size_t>(found - array_.segment_names.begin());
  }

  /// Where a segment may be during an interval. Throws std::out_of_range.
  Capsule capsule(std::size_t interval, std::size_t segment) const
  {
    if (interval >= intervals() || segment >= segments()) {
      throw std::out_of_range(
              "interval " + std::to_string(interval) + " of " + std::to_string(intervals()) + ", segment " +
              std::to_string(segment) + " of " + std::to_string(segments()));
    }
    const std::size_t i = interval * segments() + segment;
    return {point(person_.ends, 2 * i), point(person_.ends, 2 * i + 1), person_.radius[i], person_.kind[i],
      person_.coverage[i]};
  }

  /// The segment as it was at last_observed. Throws std::out_of_range.
  Capsule body(std::size_t segment) const
  {
    if (segment >= segments()) {
      throw std::out_of_range("segment " + std::to_string(segment) + " of " + std::to_string(segments()));
    }
    return {point(person_.body_ends, 2 * segment), point(person_.body_ends, 2 * segment + 1),
      person_.body_radius[segment], msg::PersonOccupancy::KIND_NONE, std::numeric_limits<double>::quiet_NaN()};
  }

  /// Distance of a point from all that the person may occupy during an interval; negative inside, NaN when a capsule
  /// has no bound (KIND_NONE) or is not finite: the person may be anywhere then. Throws std::out_of_range.
  double distance(const Point & point, std::size_t interval) const
  {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t g = 0; g < segments(); ++g) {
      const Capsule part = capsule(interval, g);
      const double here = part.distance(point);
      if (part.kind == msg::PersonOccupancy::KIND_NONE || !std::isfinite(here)) {
        return std::numeric_limits<double>::quiet_NaN();
      }
      least = std::min(least, here);
    }
    return least;
  }

  /// Distance of a point from all that the person may occupy from stamp until a time.
  ///
  /// Beyond the last interval, and after valid_until, the occupancy grows by reach_speed_mps. NaN where some interval
  /// until then has no bound: it compares false with every distance.
  double distance_until(const Point & point, const builtin_interfaces::msg::Time & time) const
  {
    return distance_until(point, to_nanoseconds(time));
  }

  /// The same, for a time in nanoseconds.
  double distance_until(const Point & point, std::int64_t nanoseconds) const
  {
    const std::int64_t stamp = to_nanoseconds(person_.stamp);
    const std::int64_t until = std::max<std::int64_t>(nanoseconds - stamp, 0);
    const std::int64_t valid = std::max<std::int64_t>(to_nanoseconds(person_.valid_until) - stamp, 0);
    const std::int64_t all = static_cast<std::int64_t>(intervals());
    const std::int64_t usable = std::min(std::max<std::int64_t>(valid / interval_ns_, 1), all);
    const std::int64_t count = std::min(std::max<std::int64_t>((until + interval_ns_ - 1) / interval_ns_, 1), usable);
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t k = 0; k < count; ++k) {
      const double here = distance(point, static_cast<std::size_t>(k));
      if (std::isnan(here)) {return here;}
      least = std::min(least, here);
    }
    const std::int64_t beyond = until - std::min(usable * interval_ns_, valid);
    if (beyond > 0) {
      const double last = distance(point, static_cast<std::size_t>(usable - 1));
      least = std::min(least, last - array_.reach_speed_mps * static_cast<double>(beyond) * 1e-9);
    }
    return least;
  }

private:
  template<typename Floats>
  static Point point(const Floats & values, std::size_t i)
  {
    return {values[3 * i], values[3 * i + 1], values[3 * i + 2]};
  }

  template<typename Floats>
  void check_radii(const char * field, const Floats & values) const
  {
    for (const auto value : values) {
      if (value < 0) {
        throw std::invalid_argument(
                "person '" + person_.id + "': " + field + " has " + std::to_string(value) + ", expected 0 or more");
      }
    }
  }

  void check(const char * field, std::size_t came, std::size_t expected) const
  {
    if (came != expected) {
      throw std::invalid_argument(
              "person '" + person_.id + "': " + field + " has " + std::to_string(came) + " values, expected " +
              std::to_string(expected) + " for " + std::to_string(intervals()) + " intervals and " +
              std::to_string(segments()) + " segments");
    }
  }

  const msg::OccupancyArray & array_;
  const msg::PersonOccupancy & person_;
  const std::int64_t interval_ns_;
};

/// Distance of a point from all that anybody may occupy until a time; infinity: nobody is there.
///
/// NaN, which compares false with every distance, where the array is refused (see `refusal`), or somebody in it has no
/// bound. Throws std::invalid_argument as OccupancyView.
inline double clearance_until(
  const msg::OccupancyArray & array, const Point & point, std::int64_t until_ns, std::int64_t now_ns,
  std::int64_t max_input_age_ns)
{
  if (!refusal(array, now_ns, max_input_age_ns).empty()) {return std::numeric_limits<double>::quiet_NaN();}
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < array.people.size(); ++i) {
    const double here = OccupancyView(array, i).distance_until(point, until_ns);
    if (std::isnan(here)) {return here;}
    least = std::min(least, here);
  }
  return least;
}

}  // namespace aux_motion_msgs

#endif  // AUX_MOTION_MSGS__OCCUPANCY_VIEW_HPP_
