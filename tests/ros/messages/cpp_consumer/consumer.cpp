// Copyright 2026 The aux_motion contributors
// SPDX-License-Identifier: Apache-2.0
// Reads a prediction and times as text, prints what the C++ view says about them.
//
// Input: steps dt_s joint-count joint-names..., stamp (sec nanosec), valid_until (sec nanosec), then mean, recovered,
// radius, scale and body_radius, each as a count and so many numbers, then times in nanoseconds until the end.
// Output: a line for each time, "none" or x y z of every joint and, after "radius", the radii.

#include <aux_motion_msgs/prediction_view.hpp>

#include <cstdint>
#include <exception>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

static std::vector<float> numbers()
{
  std::size_t count = 0;
  std::cin >> count;
  std::vector<float> values(count);
  for (float & value : values) {std::cin >> value;}
  return values;
}

int main()
{
  aux_motion_msgs::msg::PredictionArray array;
  aux_motion_msgs::msg::PersonPrediction person;
  std::size_t joints = 0;
  std::cin >> array.steps >> array.dt_s >> joints;
  array.joint_names.resize(joints);
  for (std::string & name : array.joint_names) {std::cin >> name;}
  person.id = "7";
  std::cin >> person.stamp.sec >> person.stamp.nanosec >> person.valid_until.sec >> person.valid_until.nanosec;
  person.mean = numbers();
  person.recovered = numbers();
  person.radius = numbers();
  person.scale = numbers();
  person.body_radius = numbers();
  person.joint_status.resize(joints, 1);
  array.people.push_back(person);

  try {
    const aux_motion_msgs::PredictionView view(array, 0);
    const auto wrist = view.joint_index("right_wrist");
    if (!wrist || view.joint_index("tail") || view.message().id != "7") {return 3;}
    bool refused = false;
    try {
      view.mean(view.steps(), 0);
    } catch (const std::out_of_range &) {
      refused = true;
    }
    if (!refused) {return 4;}

    std::cout << std::setprecision(17);
    std::cout << *wrist;
    for (const double value : view.mean(0, *wrist)) {std::cout << ' ' << value;}
    if (const auto radius = view.radius(0, *wrist)) {std::cout << ' ' << *radius;}
    if (const auto scale = view.scale(0, *wrist)) {std::cout << ' ' << (*scale)[2];}
    if (const auto body = view.body_radius(0, *wrist)) {std::cout << ' ' << *body;}
    std::cout << '\n';

    std::int64_t nanoseconds = 0;
    while (std::cin >> nanoseconds) {
      builtin_interfaces::msg::Time time;
      time.sec = static_cast<std::int32_t>(nanoseconds / 1000000000LL);
      time.nanosec = static_cast<std::uint32_t>(nanoseconds % 1000000000LL);
      const auto pose = view.at(time);
      if (!pose) {
        std::cout << "none\n";
        continue;
      }
      for (const auto & point : *pose) {std::cout << point[0] << ' ' << point[1] << ' ' << point[2] << ' ';}
      std::cout << "radius";
      if (const auto radii = view.radius_at(nanoseconds)) {
        for (const double radius : *radii) {std::cout << ' ' << radius;}
      }
      std::cout << '\n';
    }
  } catch (const std::exception & error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
