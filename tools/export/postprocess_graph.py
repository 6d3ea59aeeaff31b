"""Mending of generated dots and label maps as TensorFlow operations, for a method that is exported.

The same functions of the same bits as `datasets.rules.sample_checks` without checks, which work in Python;
`datasets.dots` and `datasets.rules.label_cleaning` say why.
"""

import tensorflow as tf

from datasets.dots import HIDDEN_TURNS, Dot
from datasets.rules.label_rules import SLACK, LabelRules


def mend_dots(dots: tf.Tensor, dot: Dot, num_classes: int) -> tf.Tensor:
    """Dots uint8 [N, S, S] drawn anew as discs; maps with other numbers of dots than real ones stay."""
    codes = sorted(range(1, num_classes), key=lambda code: (-dot.of_class(code).radius, code))  # in painting order

    def mend(one):
        redrawn, real = tf.zeros_like(one), tf.constant(True)
        for code in codes:
            dots = dot.of_class(code)
            if dots.radius:
                above = tf.reduce_any([one == other for other in range(1, num_classes)
                                       if 0 < dot.of_class(other).radius < dots.radius] or [one != one], 0)
                centres = _centres(one == code, above, dot.least_area(code), dots.radius)
                count = tf.shape(centres)[0]
                real &= (dots.fewest <= count) & (count <= dots.most) | (count == 0) & dots.may_lack
                distances = _distances(centres, tf.shape(one))
                # Never empty.
                discs = (distances <= dots.radius**2) | (
                    distances == tf.reduce_min(distances, [1, 2], keepdims=True))
                redrawn = tf.where(tf.reduce_any(discs, 0), tf.constant(code, tf.uint8), redrawn)
        return tf.where(real, redrawn, one)

    return tf.map_fn(mend, dots)


def _centres(mask: tf.Tensor, above: tf.Tensor, least: float, radius: float) -> tf.Tensor:
    """Centres float64 [D, 2] of the components of bool [S, S] with `least` pixels, as `Dot.read` finds them: of
    what is seen and of what dots `above` hide."""
    rows, columns = (tf.cast(grid, tf.float64) for grid in  # float64 as NumPy: the same bits
                     tf.meshgrid(tf.range(tf.shape(mask)[0]), tf.range(tf.shape(mask)[1]), indexing="ij"))
    parts = _components(mask)
    areas = _sums(tf.ones_like(rows), parts)
    whole = tf.where(areas >= least)[:, 0]
    areas = tf.gather(areas, whole)[:, None]  # [D, 1]
    sums = tf.stack([tf.gather(_sums(places, parts), whole) for places in (rows, columns)], 1)  # [D, 2]
    centres = sums / areas
    for _ in range(HIDDEN_TURNS):
        near = tf.cast(above & (_distances(centres, tf.shape(mask)) <= radius**2), tf.float64)  # [D, S, S]
        hidden = tf.stack([tf.reduce_sum(near * places, [1, 2]) for places in (rows, columns)], 1)
        centres = (sums + hidden) / (areas + tf.reduce_sum(near, [1, 2])[:, None])
    return centres


def _distances(centres: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Squared distances float64 [D, H, W] of pixels from centres [D, 2]."""
    rows, columns = (tf.cast(tf.range(side), tf.float64) for side in (shape[0], shape[1]))
    return (tf.square(rows[None, :, None] - centres[:, :1, None])
            + tf.square(columns[None, None] - centres[:, 1:, None]))


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
