"""Rotations as 3x3 matrices, rotation vectors, unit quaternions (w, x, y, z) and Euler angles.

Euler angles are (roll, pitch, yaw) about the fixed axes x, y, z: R = Rz(yaw) Ry(pitch) Rx(roll).
"""

import math

import numpy as np


def matrix_from_euler(euler: np.ndarray) -> np.ndarray:
    """(roll, pitch, yaw) [rad] about fixed x, y, z -> R [3, 3]."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(euler), np.sin(euler)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def euler_from_matrix(matrix: np.ndarray) -> np.ndarray:
    """R [3, 3] -> (roll, pitch, yaw) [rad], pitch within +-pi/2."""
    pitch = math.atan2(-matrix[2, 0], math.hypot(matrix[0, 0], matrix[1, 0]))
    return np.array([math.atan2(matrix[2, 1], matrix[2, 2]), pitch, math.atan2(matrix[1, 0], matrix[0, 0])])


def matrix_from_vector(vector: np.ndarray) -> np.ndarray:
    """Rotation vector (axis times angle) [rad] -> R [3, 3], by Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = np.asarray(vector) / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def vector_from_matrix(matrix: np.ndarray) -> np.ndarray:
    """R [3, 3] -> rotation vector [rad], length at most pi; by way of the quaternion, so exact near pi too."""
    quaternion = quaternion_from_matrix(matrix)
    if quaternion[0] < 0:
        quaternion = -quaternion
    length = float(np.linalg.norm(quaternion[1:]))
    if length < 1e-12:
        return 2 * quaternion[1:]
    return quaternion[1:] / length * 2 * math.atan2(length, quaternion[0])


def matrix_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Unit quaternion (w, x, y, z) -> R [3, 3]."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(matrix: np.ndarray) -> np.ndarray:
    """R [3, 3] -> unit quaternion (w, x, y, z): the eigenvector method of Bar-Itzhack (2000)."""
    m = matrix
    k = np.array(
        [
            [m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
            [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    _, vectors = np.linalg.eigh(k)
    quaternion = vectors[:, 3]
    return quaternion if quaternion[0] >= 0 else -quaternion


def yaw_of(quaternion: np.ndarray) -> float:
    """Heading of the body's x axis in the horizontal plane [rad], from a unit quaternion (w, x, y, z)."""
    w, x, y, z = quaternion
    return math.atan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z))
