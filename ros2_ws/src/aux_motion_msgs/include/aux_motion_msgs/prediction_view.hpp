// Copyright 2026 The aux_motion contributors
// SPDX-License-Identifier: Apache-2.0
// Copyright 2026 the aux_motion maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Header-only view over a received aux_motion_msgs/msg/PredictionArray: no copies of the arrays, sizes checked once.
//
//   for (std::size_t i = 0; i < array.people.size(); ++i) {
//     const aux_motion_msgs::PredictionView person(array, i);
//     if (const auto pose = person.at(when)) {          // when: builtin_interfaces::msg::Time
//       const auto wrist = (*pose)[*person.joint_index("right_wrist")];
//     }
//   }
//
// An array without people does not say that nobody is there: ask nobody(array, now_ns, max_input_age_ns).
//
// The view refers to the message: the message must outlive it.

#ifndef AUX_MOTION_MSGS__PREDICTION_VIEW_HPP_
#define AUX_MOTION_MSGS__PREDICTION_VIEW_HPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "aux_motion_msgs/completeness.hpp"
#include "aux_motion_msgs/msg/person_prediction.hpp"
#include "aux_motion_msgs/msg/prediction_array.hpp"
#include "builtin_interfaces/msg/time.hpp"

namespace aux_motion_msgs
{

/// One person of a PredictionArray. Step k (0-based) is at stamp + (k + 1) * dt_s.
class PredictionView
{
public:
  /// Looks at `array.people[person]`.
  ///
  /// Throws std::out_of_range when there is no such person, std::invalid_argument when the lengths of the person's
  /// arrays do not fit the array's steps and joint names.
  PredictionView(const msg::PredictionArray & array, std::size_t person)
  : array_(array), person_(array.people.at(person)),
    // dt_s is a float32: 0.04 comes as 0.0399999991; whole microseconds bring the step back
    dt_ns_(static_cast<std::int64_t>(std::llround(static_cast<double>(array.dt_s) * 1e6)) * 1000)
  {
    const std::size_t n_joints = joints();
    const std::size_t n_steps = steps();
    check("mean", person_.mean.size(), n_steps * n_joints * 3, false);
    check("recovered", person_.recovered.size(), n_joints * 3, false);
    check("joint_status", person_.joint_status.size(), n_joints, false);
    check("radius", person_.radius.size(), n_steps * n_joints, true);
    check("scale", person_.scale.size(), n_steps * n_joints * 3, true);
    check("body_radius", person_.body_radius.size(), n_steps * n_joints, true);
    if (dt_ns_ <= 0 || n_steps == 0) {
      throw std::invalid_argument(
              "dt_s is " + std::to_string(array_.dt_s) + " and steps " + std::to_string(n_steps) +
              ", expected a positive step in seconds and at least one step");
    }
  }

  /// The view refers to the message, which a temporary would not outlive.
  PredictionView(msg::PredictionArray &&, std::size_t) = delete;

  std::size_t steps() const {return array_.steps;}
  std::size_t joints() const {return array_.joint_names.size();}

  /// The person's message, for id, state, reasons and the rest.
  const msg::PersonPrediction & message() const {return person_;}

  /// Index of a joint by name, nothing when the array has no such joint.
  std::optional<std::size_t> joint_index(const std::string & name) const
  {
    const auto found = std::find(array_.joint_names.begin(), array_.joint_names.end(), name);
    if (found == array_.joint_names.end()) {return std::nullopt;}
    return static_cast<std::size_t>(found - array_.joint_names.begin());
  }

  /// Predicted position of a joint at stamp + (step + 1) * dt_s. Throws std::out_of_range.
  Point mean(std::size_t step, std::size_t joint) const
  {
    return point(person_.mean, index(step, joint));
  }

  /// Position of a joint at stamp; joints that were not observed are recovered. Throws std::out_of_range.
  Point recovered(std::size_t joint) const
  {
    require(joint < joints(), "joint", joint, joints());
    return point(person_.recovered, joint);
  }

  /// Radius in metres around mean, nothing when radius_basis is "none". Throws std::out_of_range.
  std::optional<double> radius(std::size_t step, std::size_t joint) const
  {
    const std::size_t i = index(step, joint);
    if (person_.radius.empty()) {return std::nullopt;}
    return static_cast<double>(person_.radius[i]);
  }

  /// Radius in metres around mean of the bound that holds all joints at all steps together, nothing when there is none.
  /// Throws std::out_of_range.
  std::optional<double> body_radius(std::size_t step, std::size_t joint) const
  {
    const std::size_t i = index(step, joint);
    if (person_.body_radius.empty()) {return std::nullopt;}
    return static_cast<double>(person_.body_radius[i]);
  }

  /// One sigma per axis in metres, nothing when it was not estimated. Throws std::out_of_range.
  std::optional<Point> scale(std::size_t step, std::size_t joint) const
  {
    const std::size_t i = index(step, joint);
    if (person_.scale.empty()) {return std::nullopt;}
    return point(person_.scale, i);
  }

  /// All joints at an absolute time, linear between the recovered pose at stamp and the steps.
  ///
  /// Nothing before stamp, after the last step or after valid_until.
  std::optional<std::vector<Point>> at(const builtin_interfaces::msg::Time & time) const
  {
    return at(to_nanoseconds(time));
  }

  /// The same, for a time in nanoseconds.
  std::optional<std::vector<Point>> at(std::int64_t nanoseconds) const
  {
    if (!covers(nanoseconds)) {return std::nullopt;}
    const auto [passed, weight] = bracket(nanoseconds);
    std::vector<Point> pose(joints());
    for (std::size_t j = 0; j < pose.size(); ++j) {
      pose[j] = passed == 0 ? recovered(j) : mean(passed - 1, j);
      if (weight > 0.0) {
        const Point next = mean(passed, j);
        for (std::size_t axis = 0; axis < 3; ++axis) {
          pose[j][axis] = (1.0 - weight) * pose[j][axis] + weight * next[axis];
        }
      }
    }
    return pose;
  }

  /// Radius of every joint around at(nanoseconds): the larger one of the two steps around that time.
  ///
  /// Nothing where at() gives nothing, and when radius_basis is "none".
  std::optional<std::vector<double>> radius_at(std::int64_t nanoseconds) const
  {
    if (!covers(nanoseconds) || person_.radius.empty()) {return std::nullopt;}
    const auto [passed, weight] = bracket(nanoseconds);
    const std::size_t first = passed == 0 ? 0 : passed - 1;
    const std::size_t last = weight > 0.0 ? passed : first;
    std::vector<double> radii(joints());
    for (std::size_t j = 0; j < radii.size(); ++j) {
      radii[j] = std::max(*radius(first, j), *radius(last, j));
    }
    return radii;
  }

  /// Whether at() answers for this time.
  bool covers(std::int64_t nanoseconds) const
  {
    const std::int64_t stamp = to_nanoseconds(person_.stamp);
    const std::int64_t end = stamp + static_cast<std::int64_t>(steps()) * dt_ns_;
    return stamp <= nanoseconds && nanoseconds <= std::min(end, to_nanoseconds(person_.valid_until));
  }

private:
  template<typename Floats>
  static Point point(const Floats & values, std::size_t i)
  {
    return {values[3 * i], values[3 * i + 1], values[3 * i + 2]};
  }

  static void require(bool inside, const char * what, std::size_t value, std::size_t size)
  {
    if (!inside) {
      throw std::out_of_range(
              std::string(what) + " " + std::to_string(value) + " of " + std::to_string(size));
    }
  }

  /// Whole steps passed at a covered time, and the share of the next one.
  std::pair<std::size_t, double> bracket(std::int64_t nanoseconds) const
  {
    const std::int64_t offset = nanoseconds - to_nanoseconds(person_.stamp);
    return {
      static_cast<std::size_t>(offset / dt_ns_),
      static_cast<double>(offset % dt_ns_) / static_cast<double>(dt_ns_)};
  }

  std::size_t index(std::size_t step, std::size_t joint) const
  {
    require(step < steps(), "step", step, steps());
    require(joint < joints(), "joint", joint, joints());
    return step * joints() + joint;
  }

  void check(const char * field, std::size_t came, std::size_t expected, bool may_be_empty) const
  {
    if (came != expected && !(may_be_empty && came == 0)) {
      throw std::invalid_argument(
              "person '" + person_.id + "': " + field + " has " + std::to_string(came) + " values, expected " +
              std::to_string(expected) + " for " + std::to_string(steps()) + " steps and " +
              std::to_string(joints()) + " joints");
    }
  }

  const msg::PredictionArray & array_;
  const msg::PersonPrediction & person_;
  const std::int64_t dt_ns_;
};

}  // namespace aux_motion_msgs

#endif  // AUX_MOTION_MSGS__PREDICTION_VIEW_HPP_
