// Draws the plots of a run from the outcome that is embedded in the page. `src/report/html.rs` makes
// the page; the shape of the outcome is in `src/outcome.rs`.
'use strict';

(() => {
  const source = document.getElementById('outcome').textContent;
  const run = JSON.parse(source);
  const ROLES = ['server', 'postgres', 'redis', 'balancer', 'generator'];
  const ROLE_COLOURS = { server: '--blue', postgres: '--orange', redis: '--red', balancer: '--purple', generator: '--grey' };
  const KINDS = {
    delivery: '--blue', acknowledgement: '--orange', connect: '--green', resume: '--purple', history: '--sky', conversations: '--red', lastDelivery: '--blue', picture: '--blue', upload: '--purple',
  };
  const MIB = 1024 * 1024;

  document.getElementById('save')?.addEventListener('click', (event) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([source], { type: 'application/json' }));
    link.download = event.target.dataset.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  const places = [...document.querySelectorAll('[data-plot]')];
  if (places.length === 0) return;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A colour on its way to the ground, so that processes of one role are kin and yet differ.
  const paler = (hex, share) => {
    const parts = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    const ground = parts(colour('--surface'));
    return `rgb(${parts(hex).map((part, i) => Math.round(part + (ground[i] - part) * share)).join(',')})`;
  };
  const seeThrough = (hex, alpha) => `${hex}${Math.round(alpha * 255).toString(16).padStart(2, '0')}`;

  // Three digits that matter, as in the tables.
  const figure = (value) => {
    if (value == null || !Number.isFinite(value)) return '–';
    const size = Math.abs(value);
    const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : size >= 0.0995 ? 3 : 4;
    return value.toLocaleString('en-US', { maximumFractionDigits: digits });
  };
  const unit = (name) => (value) => (value == null ? '–' : `${figure(value)} ${name}`);
  const millis = (value) => (value == null ? '–' : value >= 1000 ? `${figure(value / 1000)} s` : `${figure(value)} ms`);
  const mebibytes = (value) => (value == null ? '–' : value >= 1024 ? `${figure(value / 1024)} GiB` : `${figure(value)} MiB`);

  const begin = run.seconds[0].at;
  const end = Math.max(run.loadSecs, run.seconds[run.seconds.length - 1].at + 1);
  const clock = (value) => {
    const sign = value < 0 ? '−' : '';
    const whole = Math.abs(value);
    if (end - begin < 180) return `${sign}${figure(whole)} s`;
    const two = (number) => String(Math.floor(number)).padStart(2, '0');
    const hours = Math.floor(whole / 3600);
    return `${sign}${hours ? `${hours}:${two((whole / 60) % 60)}` : Math.floor(whole / 60)}:${two(whole % 60)}`;
  };
  const INCREMENTS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];

  // What is before the load, and the faults with the time that it took to get over them.
  const bands = (plot) => {
    const { ctx, bbox } = plot;
    const isWide = plot.root.closest('figure').classList.contains('wide');
    const ratio = devicePixelRatio;
    const at = (value) => Math.min(Math.max(plot.valToPos(value, 'x', true), bbox.left), bbox.left + bbox.width);
    const fill = (from, until, style, least) => {
      const left = at(from);
      const width = Math.max(at(until) - left, least * ratio);
      ctx.fillStyle = style;
      ctx.fillRect(left, bbox.top, width, bbox.height);
    };
    ctx.save();
    if (begin < 0) fill(plot.scales.x.min, Math.min(0, plot.scales.x.max), seeThrough(colour('--grey'), 0.14), 0);
    if (end > run.loadSecs) fill(run.loadSecs, plot.scales.x.max, seeThrough(colour('--grey'), 0.14), 0);
    run.faults.forEach((fault, index) => {
      if (fault.at > plot.scales.x.max || fault.until < plot.scales.x.min) return;
      const over = Math.max(fault.sendingAfterSecs ?? 0, fault.deliveringAfterSecs ?? 0) + fault.at;
      fill(fault.at, fault.until, seeThrough(colour('--fault'), 0.26), 2);
      if (over > fault.until) fill(fault.until, over, seeThrough(colour('--fault'), 0.12), 0);
      ctx.fillStyle = colour('--fault');
      ctx.font = `700 ${11 * ratio}px system-ui, sans-serif`;
      ctx.textBaseline = 'bottom';
      // With its name where that ends before the next one.
      const named = `${index + 1} ${fault.what}`;
      const next = run.faults[index + 1]?.at ?? plot.scales.x.max;
      const fits = isWide && at(fault.at) + ctx.measureText(named).width + 8 * ratio < at(next);
      ctx.fillText(fits ? named : String(index + 1), at(fault.at), bbox.top - 2 * ratio);
    });
    ctx.restore();
  };

  const line = (label, name, value, more) => ({ label, stroke: colour(name), width: 1.75, value: (_, v) => value(v), points: { show: false }, ...more });

  const axes = (values, size) => {
    const common = {
      stroke: colour('--quiet'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: seeThrough(colour('--quiet'), 0.14), width: 1 },
      ticks: { show: false },
    };
    return [
      { ...common, size: 28, gap: 6, incrs: INCREMENTS, space: 64, values: (_, splits) => splits.map((v) => (v == null ? '' : clock(v))) },
      { ...common, size, gap: 6, values: (_, splits) => splits.map((v) => (v == null ? '' : values(v))) },
    ];
  };

  const fromZero = (_, min, max) => [0, max > 0 ? max * 1.08 : 1];
  const logarithmic = { distr: 3, log: 10, range: (_, min, max) => (min == null ? [1, 10] : uPlot.rangeLog(min, max, 10, false)) };

  const overTime = (options) => ({
    cursor: { sync: { key: 'time' }, y: false, drag: { x: true, y: false }, points: { size: 7 } },
    hooks: { drawClear: [bands] },
    ...options,
    scales: { x: { time: false, range: (_, min, max) => [min, Math.max(max, min + 1)] }, ...options.scales },
    series: [{ label: 'Time', value: (_, v) => (v == null ? '' : clock(v)) }, ...options.series],
  });

  const times = run.seconds.map((second) => second.at);
  const each = (name) => run.seconds.map((second) => second[name]);
  const positive = (value) => (value > 0 ? value : null);

  const latency = () => [
    overTime({
      scales: { y: logarithmic },
      axes: axes(millis, 58),
      series: [
        line('p50', '--blue', millis, { width: 2 }),
        line('p99', '--orange', millis, { width: 2 }),
        line('max', '--grey', millis, { width: 1.25, dash: [3, 3] }),
      ],
    }),
    [times, each('p50').map(positive), each('p99').map(positive), each('max').map(positive)],
  ];

  const throughput = () => {
    const perSecond = unit('/s');
    const series = [
      line('due', '--grey', perSecond, { width: 4, alpha: 0.55 }),
      line('delivered', '--blue', perSecond, { width: 2 }),
      line('acknowledged', '--orange', perSecond, { dash: [6, 3] }),
    ];
    const data = [times, each('due'), each('delivered'), each('acknowledged')];
    if (run.totals.errors > 0) {
      const dots = { show: true, size: 5, width: 0, fill: colour('--red') };
      series.push(line('errors', '--red', perSecond, { paths: () => null, points: dots }));
      data.push(each('errors').map(positive));
    }
    return [overTime({ scales: { y: { range: fromZero } }, axes: axes(figure, 58), series }), data];
  };

  const connections = () => [
    overTime({ scales: { y: { range: fromZero } }, axes: axes(figure, 58), series: [line('connected', '--green', figure, { fill: seeThrough(colour('--green'), 0.12) })] }),
    [times, each('connected')],
  ];

  const inFlight = () => [
    overTime({ scales: { y: { range: fromZero } }, axes: axes(figure, 58), series: [line('in flight', '--purple', figure, { fill: seeThrough(colour('--purple'), 0.12) })] }),
    [times, each('inFlight')],
  ];

  // The x of a percentile is its nines: 0.9 is 1, 0.99 is 2. The last one is where one of all would be.
  const nines = (share, count) => -Math.log10(Math.max(1 - share, 1 / Math.max(count, 10)));
  const percentile = (x) => `${figureOf(100 * (1 - 10 ** -x), Math.max(0, Math.ceil(x) - 2))} %`;
  const figureOf = (value, digits) => value.toLocaleString('en-US', { maximumFractionDigits: digits });

  const percentiles = () => {
    const kinds = Object.keys(run.latencies).filter((kind) => run.latencies[kind].percentiles.length > 1);
    const known = Object.keys(KINDS);
    const rank = (kind) => (known.includes(kind) ? known.indexOf(kind) : known.length);
    kinds.sort((a, b) => rank(a) - rank(b));
    const tables = kinds.map((kind) => {
      const { count, percentiles: points } = run.latencies[kind];
      const byX = new Map();
      for (const [share, value] of points) if (value > 0) byX.set(nines(share, count), value);
      return [[...byX.keys()], [...byX.values()]];
    });
    const [shares, ...curves] = uPlot.join(tables);
    // The curves have points of their own each: so that all have a value wherever the reader points, a
    // curve is straight between two of its own.
    for (const curve of curves) {
      let last = -1;
      curve.forEach((value, i) => {
        if (value == null) return;
        for (let j = last + 1; last >= 0 && j < i; j++) {
          curve[j] = curve[last] + ((value - curve[last]) * (shares[j] - shares[last])) / (shares[i] - shares[last]);
        }
        last = i;
      });
    }
    const [x, y] = axes(millis, 58);
    const whole = { ...x, incrs: [1, 2, 3], space: 62, values: (_, splits) => splits.map((v) => (v < 0 ? '' : percentile(v))) };
    return [
      {
        cursor: { drag: { x: true, y: false }, points: { size: 7 } },
        scales: { x: { time: false, range: (_, min, max) => [Math.max(min, 0), max] }, y: logarithmic },
        axes: [whole, y],
        series: [
          { label: 'Share', value: (_, v) => (v == null ? '' : `${figureOf(100 * (1 - 10 ** -v), Math.max(1, Math.ceil(v) - 1))} %`) },
          ...kinds.map((kind, index) => line(kind.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`), KINDS[kind] ?? '--grey', millis, { width: 2, dash: index === 1 ? [6, 3] : undefined })),
        ],
      },
      [shares, ...curves],
    ];
  };

  // Processes in the order of their roles, with a colour and a dash each: replicas are often alike.
  const processes = () => {
    const sorted = run.processes.filter((process) => process.samples.length > 0);
    sorted.sort((a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role));
    return sorted.map((process) => {
      const kin = sorted.filter((other) => other.role === process.role);
      const share = (0.6 * kin.indexOf(process)) / Math.max(kin.length, 2);
      const dash = [undefined, [8, 4], [3, 3]][Math.min(kin.indexOf(process), 2)];
      return { ...process, dash, colour: paler(colour(ROLE_COLOURS[process.role]), share) };
    });
  };

  // Processes are looked at one after the other: all are put on one raster, by what lies between two looks.
  const raster = (all, name) => {
    const looks = all.flatMap((process) => process.samples.map((sample) => Math.round(sample.at * 4) / 4));
    const at = [...new Set(looks)].sort((a, b) => a - b);
    const columns = all.map(({ samples }) => {
      // Where looks are missing the process was away: a line from before to after would say that it ran.
      const steps = samples.slice(1).map((sample, j) => sample.at - samples[j].at).sort((a, b) => a - b);
      const longest = 2.5 * (steps[Math.floor(steps.length / 2)] ?? 1);
      let i = 0;
      return at.map((time) => {
        while (i + 1 < samples.length && samples[i + 1].at <= time) i += 1;
        const [a, b] = [samples[i], samples[i + 1]];
        if (time < a.at - 0.25 || (!b && time > a.at + 0.25)) return null;
        if (!b || time <= a.at) return a[name];
        if (b.at - a.at > longest && time > a.at + 0.25) return null;
        return a[name] + ((b[name] - a[name]) * (time - a.at)) / (b.at - a.at);
      });
    });
    return [at, columns];
  };

  const cpu = () => {
    const all = processes();
    const [at, columns] = raster(all, 'cores');
    const sums = at.map(() => 0);
    const stacked = columns.map((column) => column.map((value, i) => (sums[i] += value ?? 0)));
    // The uppermost first: each is filled down to the one below it.
    const order = all.map((_, index) => all.length - 1 - index);
    const series = order.map((index) => ({
      ...line(all[index].name, '--grey', figure),
      class: 'area',
      stroke: all[index].colour,
      fill: all[index].colour,
      width: 0.5,
      value: (_, v, __, i) => (i == null ? '–' : figure(columns[index][i])),
    }));
    const cores = at.map(() => run.machine.cores);
    return [
      overTime({
        scales: { y: { range: (_, min, max) => [0, Math.max(max, run.machine.cores) * 1.08] } },
        axes: axes(figure, 44),
        bands: order.slice(1).map((_, i) => ({ series: [i + 1, i + 2] })),
        series: [...series, line("the machine's cores", '--text', figure, { width: 1.5, dash: [6, 4] })],
        cursor: { sync: { key: 'time' }, y: false, drag: { x: true, y: false }, points: { show: false } },
      }),
      [at, ...order.map((index) => stacked[index]), cores],
    ];
  };

  const memory = () => {
    const all = processes();
    const [at, columns] = raster(all, 'rssBytes');
    return [
      overTime({
        scales: { y: { range: fromZero } },
        axes: axes(mebibytes, 66),
        series: all.map((process) => ({ ...line(process.name, '--grey', mebibytes), stroke: process.colour, dash: process.dash, width: 2 })),
      }),
      [at, ...columns.map((column) => column.map((value) => (value == null ? null : value / MIB)))],
    ];
  };

  const PLOTS = { latency, throughput, percentiles, connections, inFlight, cpu, memory };

  let drawn = [];
  const draw = () => {
    for (const plot of drawn) plot.destroy();
    drawn = places.map((place) => {
      const [options, data] = PLOTS[place.dataset.plot]();
      const isWide = place.parentElement.classList.contains('wide');
      const idle = (plot) => plot.root.querySelector('.u-legend').classList.toggle('idle', plot.legend.idx == null);
      return new uPlot(
        {
          ...options,
          padding: [14, 18, 0, 0],
          width: place.clientWidth,
          height: isWide ? 280 : 220,
          hooks: { ...options.hooks, setLegend: [idle], ready: [idle] },
          // Lines are told apart by their dashes too, so the legend shows them.
          legend: { markers: { width: 3, dash: (plot, index) => (plot.series[index].dash ? 'dashed' : 'solid') } },
        },
        data,
        place,
      );
    });
  };
  const fit = () => {
    drawn.forEach((plot, index) => {
      const width = places[index].clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: plot.height });
    });
  };
  const paper = (isOn) => {
    document.documentElement.classList.toggle('paper', isOn);
    draw();
  };

  draw();
  addEventListener('resize', fit);
  addEventListener('beforeprint', () => paper(true));
  addEventListener('afterprint', () => paper(false));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
})();
