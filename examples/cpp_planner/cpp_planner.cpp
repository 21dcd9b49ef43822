// Copyright 2026 The aux_motion contributors
// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the aux_motion maintainers
// SPDX-License-Identifier: Apache-2.0
//
// A planner in C++: how fast the tool may move, from what people may occupy. `allowed_speed` is what goes into the
// callback of your subscription to `occupancy`; main() calls it with messages made by hand.

#include <aux_motion_msgs/occupancy_view.hpp>

#include <cmath>
#include <cstdint>
#include <iostream>

using aux_motion_msgs::msg::OccupancyArray;
using aux_motion_msgs::msg::PersonOccupancy;

/// Share of the full speed: none within 0.3 m of what anybody may occupy in the next 0.4 s, all from 1.3 m on.
static double allowed_speed(const OccupancyArray & array, const aux_motion_msgs::Point & tool, std::int64_t now_ns)
{
  const std::int64_t until_ns = now_ns + 400000000, max_input_age_ns = 300000000;
  const double clearance = aux_motion_msgs::clearance_until(array, tool, until_ns, now_ns, max_input_age_ns);
  if (std::isnan(clearance)) {return 0.0;}  // not known to be free is not free
  return std::fmin(std::fmax(clearance - 0.3, 0.0), 1.0);
}

/// One person who is a ball of 0.3 m about (x, 0, 1).
static OccupancyArray somebody_at(float x, std::int64_t now_ns)
{
  OccupancyArray array;
  array.intervals = 1;
  array.interval_s = 0.4f;
  array.reach_speed_mps = 2.0f;
  array.segment_names = {"spine"};
  array.view = OccupancyArray::VIEW_COMPLETE;
  array.oldest_input.sec = static_cast<std::int32_t>(now_ns / 1000000000);
  array.oldest_input.nanosec = static_cast<std::uint32_t>(now_ns % 1000000000);
  PersonOccupancy person;
  person.id = "1";
  person.stamp = array.oldest_input;
  person.valid_until = array.oldest_input;
  person.valid_until.sec += 1;
  person.ends = {x, 0.0f, 1.0f, x, 0.0f, 1.0f};
  person.radius = {0.3f};
  person.kind = {PersonOccupancy::KIND_SIMULTANEOUS};
  person.coverage = {0.95f};
  person.body_ends = person.ends;
  person.body_radius = {0.15f};
  array.people.push_back(person);
  return array;
}

int main()
{
  const std::int64_t now_ns = 1700000000000000000;
  const aux_motion_msgs::Point tool{0.0, 0.0, 1.0};
  for (const float x : {0.5f, 1.1f, 3.0f}) {
    std::cout << "somebody at " << x << " m: " << allowed_speed(somebody_at(x, now_ns), tool, now_ns) << "\n";
  }
  OccupancyArray unknown = somebody_at(3.0f, now_ns);
  unknown.view = OccupancyArray::VIEW_UNKNOWN;
  std::cout << "view not complete: " << allowed_speed(unknown, tool, now_ns) << "\n";
  OccupancyArray old = somebody_at(3.0f, now_ns - 2000000000);
  std::cout << "input two seconds old: " << allowed_speed(old, tool, now_ns) << "\n";
  return 0;
}
