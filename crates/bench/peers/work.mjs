// What each server does for a call: the same as the functions of the bench app.

export const sum = (a, b) => a + b;
export const echo = (value) => value;
export const large = () => "x".repeat(100 * 1024);
export const primes = (below) => {
  let count = 0;
  for (let n = 2; n < below; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) {
      if (n % d === 0) {
        prime = false;
        break;
      }
    }
    if (prime) count++;
  }
  return count;
};
