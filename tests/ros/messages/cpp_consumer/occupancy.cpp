// Copyright 2026 The aux_motion contributors
// SPDX-License-Identifier: Apache-2.0
// Reads an occupancy and questions as text, prints what the C++ view says.
//
// Input: intervals interval_s reach_speed_mps segment-count segment-names..., stamp (sec nanosec), valid_until (sec
// nanosec), then ends, radius, kind, coverage, body_ends and body_radius, each as a count and so many numbers, then x y z
// nanoseconds until the end. With arguments "view oldest_input_ns unplaced now_ns limit_ns" each question is put to
// clearance_until; the line then has it for
// the person, for an array without people, and what nobody says of both.
// Output: the capsule and the body of the left hand; a line for each question, the distance until that time.

#include <aux_motion_msgs/occupancy_view.hpp>

#include <cstdint>
#include <exception>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

template<typename T>
static std::vector<T> numbers()
{
  std::size_t count = 0;
  std::cin >> count;
  std::vector<T> values(count);
  for (T & value : values) {
    double number = 0.0;
    std::cin >> number;
    value = static_cast<T>(number);
  }
  return values;
}

int main(int argc, char ** argv)
{
  aux_motion_msgs::msg::OccupancyArray array;
  aux_motion_msgs::msg::PersonOccupancy person;
  std::size_t segments = 0;
  std::cin >> array.intervals >> array.interval_s >> array.reach_speed_mps >> segments;
  array.segment_names.resize(segments);
  for (std::string & name : array.segment_names) {std::cin >> name;}
  person.id = "7";
  std::cin >> person.stamp.sec >> person.stamp.nanosec >> person.valid_until.sec >> person.valid_until.nanosec;
  person.ends = numbers<float>();
  person.radius = numbers<float>();
  person.kind = numbers<std::uint8_t>();
  person.coverage = numbers<float>();
  person.body_ends = numbers<float>();
  person.body_radius = numbers<float>();
  array.people.push_back(person);
  if (argc == 6) {
    array.view = static_cast<std::uint8_t>(std::stoi(argv[1]));
    const std::int64_t oldest = std::stoll(argv[2]);
    array.oldest_input.sec = static_cast<std::int32_t>(oldest / 1000000000LL);
    array.oldest_input.nanosec = static_cast<std::uint32_t>(oldest % 1000000000LL);
    array.unplaced_people = static_cast<std::uint32_t>(std::stoul(argv[3]));
    const std::int64_t now = std::stoll(argv[4]), limit = std::stoll(argv[5]);
    aux_motion_msgs::msg::OccupancyArray empty = array;
    empty.people.clear();
    aux_motion_msgs::Point point;
    std::int64_t until = 0;
    std::cout << std::setprecision(17);
    while (std::cin >> point[0] >> point[1] >> point[2] >> until) {
      std::cout << aux_motion_msgs::clearance_until(array, point, until, now, limit) << ' ' <<
        aux_motion_msgs::clearance_until(empty, point, until, now, limit) << ' ' <<
        aux_motion_msgs::nobody(empty, now, limit) << aux_motion_msgs::nobody(array, now, limit) << '\n';
    }
    return 0;
  }

  try {
    const aux_motion_msgs::OccupancyView view(array, 0);
    const auto hand = view.segment_index("left_hand");
    if (!hand || view.segment_index("tail") || view.message().id != "7") {return 3;}
    bool refused = false;
    try {
      view.capsule(view.intervals(), 0);
    } catch (const std::out_of_range &) {
      refused = true;
    }
    if (!refused) {return 4;}
    std::cout << std::setprecision(17);
    const auto last = view.capsule(view.intervals() - 1, *hand);
    std::cout << last.a[0] << ' ' << last.b[2] << ' ' << last.radius << ' ' << int(last.kind) << ' ' << last.coverage;
    std::cout << ' ' << view.body(*hand).b[1] << ' ' << view.body(*hand).radius << '\n';
    aux_motion_msgs::Point point;
    std::int64_t nanoseconds = 0;
    while (std::cin >> point[0] >> point[1] >> point[2] >> nanoseconds) {
      std::cout << view.distance_until(point, nanoseconds) << '\n';
    }
  } catch (const std::exception & error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
