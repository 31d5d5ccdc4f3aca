exports = async () => {
  const { of, from, interval, firstValueFrom, lastValueFrom } = require("rxjs"), { map, filter, toArray, take, mergeMap } = require("rxjs/operators");
  return [await lastValueFrom(from([1, 2, 3, 4]).pipe(filter((n) => n % 2 === 0), map((n) => n * 10), toArray())), await lastValueFrom(interval(1).pipe(take(3), toArray())), await firstValueFrom(of(1).pipe(mergeMap((n) => Promise.resolve(n + 1))))];
};
