// What a session will be once acts that are under way have arrived, so that a click shows at once.

const APPLY = {
  mark(seen, { image, sign }) {
    set(seen.marks, image, sign);
    for (const each of ["liked", "disliked"]) {
      seen[each] = seen[each].filter((id) => id !== image);
      if (each === sign) seen[each].push(image);
    }
  },
  rating: (seen, { image, value }) => set(seen.ratings, image, value),
  rich: (seen, { image, rich }) => set(seen.rich, image, rich),
  freeze: (seen, { knob, value }) => set(seen.frozen, knob, value),
  favourite(seen, { image, kept }) {
    seen.favourites = seen.favourites.filter((id) => id !== image).concat(kept ? [image] : []);
  },
  choice(seen, { options, chosen }) {
    const round = [...seen.rounds, ...seen.aside].find((one) => one.images.every((id) => options.includes(id)));
    if (round) Object.assign(round, { picked: chosen, passed: chosen === null });
  },
  "more like": wished,
  variations: wished,
  making(seen, { images, steps, size, seed }) {
    seen.making = { images, steps, size, seed };
  },
  branch(seen, { line, round }) {
    seen.aside.push(...seen.rounds.splice(round + 1));
    seen.lines.push({ id: line, shared: round + 1, rounds: round + 1 });
    seen.line = line;
    const here = new Set([...seen.rounds.flatMap((one) => one.images), ...Object.keys(seen.uploads)]);
    for (const each of ["liked", "disliked"]) seen[each] = seen[each].filter((id) => here.has(id));
  },
  withdrawal(seen, { record }) {
    if (record === seen.wish?.record) seen.wish = null;
  },
};

function wished(seen, { kind, image, id }) {
  seen.wish = { kind, image, record: id };
}

function set(values, name, value) {
  if (value === null) delete values[name];
  else values[name] = value;
}

export function applied(session, acts) {
  const seen = structuredClone(session);
  for (const act of acts) {
    APPLY[act.kind]?.(seen, act);
    const taken = act.kind === "withdrawal"; // what is undone before and after is known once the server has answered
    Object.assign(seen, { undo: taken ? null : act, redo: null });
  }
  return indexed(seen);
}

// Images by id with what is said of them; of a picture that came out twice the first counts.
function indexed(seen) {
  const lines = seen.lines.map((one) => one.id);
  seen.images = {};
  const here = seen.rounds.length;
  [...seen.rounds, ...seen.aside].forEach((within, k) =>
    within.images.forEach((id, place) => {
      seen.images[id] ??= {
        id, within, round: within.number, place, prompt: within.prompt, aside: k >= here, line: lines.indexOf(within.line) + 1,
        mark: seen.marks[id] ?? null, rating: seen.ratings[id] ?? null, mean: seen.means[id] ?? null, rich: seen.rich[id] ?? null,
        others: seen.others[id] ?? null, favourite: seen.favourites.includes(id), picked: false,
      };
      if (within.picked === id) seen.images[id].picked = true;
    }));
  return seen;
}
