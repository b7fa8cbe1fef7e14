// Noise: z in [0, 1] seen as g = Φ⁻¹(z), which is N(0, 1) in every direction. Lists of numbers in,
// lists of numbers out.
"use strict";

const Noise = (() => {
  // Φ: W. J. Cody's rational approximations would be finer; this is 1e-7 off at most, and z is
  // rounded to 1e-3 (Abramowitz and Stegun, 7.1.26).
  const cdf = (x) => {
    const t = 1 / (1 + 0.3275911 * Math.abs(x) / Math.SQRT2);
    const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const upper = 0.5 * poly * Math.exp(-x * x / 2);
    return x < 0 ? upper : 1 - upper;
  };

  // Φ⁻¹ by bisection: fifty steps of a function that is monotone, once for each new sample.
  const quantile = (p) => {
    let low = -5.2, high = 5.2;
    for (let k = 0; k < 50; k++) {
      const middle = (low + high) / 2;
      if (cdf(middle) < p) low = middle; else high = middle;
    }
    return (low + high) / 2;
  };

  const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);

  return {
    cdf,
    fromZ: (z) => z.map(quantile),
    // Three digits: what the command line is given is exactly what is drawn.
    toZ: (g) => g.map((value) => Math.round(cdf(value) * 1000) / 1000),
    dot,
    along: (g, direction, by) => g.map((value, k) => value + by * direction[k]),
    // Along the arc, so that every step is as typical a draw as the two ends are.
    between: (a, b, t) => {
      const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b) || 1);
      const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
      if (angle < 1e-3) return a.map((value, k) => value + t * (b[k] - value));
      const [first, second] = [Math.sin((1 - t) * angle), Math.sin(t * angle)];
      return a.map((value, k) => (first * value + second * b[k]) / Math.sin(angle));
    },
  };
})();
