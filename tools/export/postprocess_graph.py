"""Mending of generated dots and label maps as TensorFlow operations, for a method that is exported.

The same functions of the same bits as `datasets.sample_checks` without checks, which work in Python;
`datasets.dots` and `datasets.label_cleaning` say why.
"""

import tensorflow as tf

from datasets.dots import Dot
from datasets.label_rules import SLACK, LabelRules


def mend_dots(dots: tf.Tensor, dot: Dot, num_classes: int) -> tf.Tensor:
    """Dots uint8 [N, S, S] drawn anew as discs; maps without one dot per organ stay."""
    def mend(one):
        rows, columns = (tf.cast(grid, tf.float64) for grid in  # float64 as NumPy: the same bits
                         tf.meshgrid(tf.range(tf.shape(one)[0]), tf.range(tf.shape(one)[1]), indexing="ij"))
        redrawn, whole = tf.zeros_like(one), tf.constant(True)
        for code in range(1, num_classes):
            parts = _components(one == code)
            areas = _sums(tf.ones_like(rows), parts)
            largest = tf.argmax(areas)
            # One dot, however much dirt beside it.
            whole &= tf.reduce_sum(tf.cast(areas >= dot.least_area, tf.int32)) == 1
            y, x = (_sums(places, parts)[largest] / areas[largest] for places in (rows, columns))  # centroid
            distance = tf.square(rows - y) + tf.square(columns - x)
            # Never empty.
            disc = (distance <= dot.radius**2) | (distance == tf.reduce_min(distance))
            redrawn = tf.where(disc, tf.constant(code, tf.uint8), redrawn)
        return tf.where(whole, redrawn, one)  # not exactly one each: as it was

    return tf.map_fn(mend, dots)


def mend_labels(labels: tf.Tensor, rules: LabelRules, rims: bool) -> tf.Tensor:
    """Label maps uint8 [N, H, W] without false rims (if `rims`) and without specks."""
    def mend(one):
        if rims:  # rims first, as there
            one = _majority(one, rules.table.num_classes)
        keep = tf.ones_like(one, tf.bool)
        for code in rules.classes:
            keep &= ~_specks(one, code, rules)
        return _filled(one, keep)

    return tf.map_fn(mend, labels)


def _specks(labels: tf.Tensor, code: int, rules: LabelRules) -> tf.Tensor:
    """Where bool [H, W] a pixel of the class lies in a piece that is none by the rules (`find_pieces`)."""
    organ, rule = labels == code, rules.classes[code]
    if not rule.present:
        return organ
    # organs folded back count as one with theirs
    parts = _components(tf.reduce_any([labels == other for other in rules.table.codes_within(code)], 0))
    own = tf.cast(organ, tf.float64)
    if rule.specks:
        least = rule.specks * tf.reduce_sum(own)
    else:
        least = rule.smallest * tf.cast(tf.size(labels), tf.float64) / SLACK
    small = _sums(own, parts) < least
    return organ & tf.gather(small, tf.maximum(parts, 0))  # -1 outside reads any place: `organ` excludes it


def _components(mask: tf.Tensor) -> tf.Tensor:
    """The largest flat index in each pixel's 4-connected component of bool [H, W], int32; -1 outside.

    Components take the largest label next to them, all at once, until none changes (Shiloach and Vishkin 1982).
    """
    count = tf.size(mask)
    places = tf.range(count)

    def join(parts, _):
        # [H + 2, W + 2]; outside -1, below every label
        around = tf.pad(parts, [[1, 1], [1, 1]], constant_values=-1)
        # Above, below, left, right.
        sides = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
        largest = tf.reduce_max([parts, *sides], 0)
        # Each component's own best neighbour.
        best = tf.math.unsorted_segment_max(tf.reshape(largest, [-1]), tf.reshape(parts, [-1]), count)
        parents = _roots(tf.maximum(places, best))
        # Every pixel takes the end of its chain.
        joined = tf.where(mask, tf.gather(parents, tf.maximum(parts, 0)), -1)
        return joined, tf.reduce_any(joined != parts)

    start = tf.where(mask, tf.reshape(places, tf.shape(mask)), -1)
    return tf.while_loop(lambda _, changed: changed, join, (start, tf.constant(True)))[0]


def _roots(parents: tf.Tensor) -> tf.Tensor:
    """Follows the parents int32 [n] to their ends."""
    def jump(parents, _):
        further = tf.gather(parents, parents)  # doubles the reach each time
        return further, tf.reduce_any(further != parents)

    return tf.while_loop(lambda _, changed: changed, jump, (parents, tf.constant(True)))[0]


def _sums(values: tf.Tensor, parts: tf.Tensor) -> tf.Tensor:
    """Sums of float64 [H, W] over each component: [H * W], at the component's label."""
    return tf.math.unsorted_segment_sum(tf.reshape(values, [-1]), tf.reshape(parts, [-1]), tf.size(parts))


def _majority(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Each pixel's commonest code in the window around it; its own loses ties."""
    sides = tf.cast(tf.shape(labels), tf.float64)
    # The same window in parts of the side, 1 at 128 pixels.
    reach = tf.maximum(1, tf.cast(tf.round(tf.reduce_max(sides) / 128.0), tf.int32))
    votes = []
    for code in range(num_classes):
        own = tf.cast(labels == code, tf.int32)
        # Twice the votes, less one where it is the pixel's own code: ties go to another.
        votes.append(2 * _box_sums(_box_sums(own, reach, 0), reach, 1) - own)
    return tf.cast(tf.argmax(votes), tf.uint8)


def _box_sums(values: tf.Tensor, reach: tf.Tensor, axis: int) -> tf.Tensor:
    """Sums of int32 [H, W] over 2 reach + 1 places along an axis; the edges repeat."""
    side = tf.shape(values)[axis]
    places = tf.clip_by_value(tf.range(-reach, side + reach), 0, side - 1)  # edge pixels repeat
    sums = tf.cumsum(tf.gather(values, places, axis=axis), axis)
    front = [[0, 0], [0, 0]]
    front[axis] = [1, 0]
    sums = tf.pad(sums, front)  # a zero in front: sums of nothing
    ends = tf.range(2 * reach + 1, side + 2 * reach + 1)
    # End minus start of each window.
    return tf.gather(sums, ends, axis=axis) - tf.gather(sums, tf.range(side), axis=axis)


def _filled(labels: tf.Tensor, keep: tf.Tensor) -> tf.Tensor:
    """Codes where `keep`; elsewhere they grow in, ring by ring, from above, the left, the right or below."""
    def grow(codes, _):
        around = tf.pad(codes, [[1, 1], [1, 1]], constant_values=-1)  # -1: empty
        grown = codes
        # This order decides between neighbours.
        for side in (around[:-2, 1:-1], around[1:-1, :-2], around[1:-1, 2:], around[2:, 1:-1]):
            grown = tf.where(grown < 0, side, grown)
        return grown, tf.reduce_any(grown != codes)

    # Nothing to keep: everything stays.
    start = tf.where(keep | ~tf.reduce_any(keep), tf.cast(labels, tf.int32), -1)
    # Stops too where nothing grows.
    codes = tf.while_loop(lambda codes, changed: changed & tf.reduce_any(codes < 0), grow,
                          (start, tf.constant(True)))[0]
    return tf.cast(codes, tf.uint8)
