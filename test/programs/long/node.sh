# root: servers
# Node.js: files, streams, worker threads, child processes, timers, sockets, signals, wasm and the JIT.
set -u
cd "$(mktemp -d)"
cat >main.js <<'EOS'
const { Worker, isMainThread, parentPort, workerData, MessageChannel } = require('worker_threads');
const fs = require('fs'), fsp = fs.promises, path = require('path'), os = require('os');
const cp = require('child_process'), net = require('net'), dgram = require('dgram'), http = require('http');
const crypto = require('crypto'), zlib = require('zlib'), events = require('events');
const { pipeline } = require('stream/promises');
const { setTimeout: sleep } = require('timers/promises');
const { promisify } = require('util');
const say = (...a) => console.log(...a);

const ended = worker => new Promise(r => worker.on('exit', r)); // events.once gives up at an error

async function files() {
	await fsp.mkdir('d/e/f', { recursive: true });
	await fsp.writeFile('d/a', 'x'.repeat(100000));
	await fsp.appendFile('d/a', 'tail');
	const s = await fsp.stat('d/a');
	say('stat', s.size, (s.mode & 0o777).toString(8), s.isFile(), s.nlink);
	await fsp.chmod('d/a', 0o640); await fsp.utimes('d/a', 1, 2.5);
	const b = await fsp.stat('d/a', { bigint: true });
	say((b.mode & 0o777n).toString(8), b.atimeNs, b.mtimeNs);
	await fsp.symlink('a', 'd/l'); await fsp.link('d/a', 'd/h'); await fsp.rename('d/h', 'd/i');
	say(await fsp.readlink('d/l'), (await fsp.readdir('d')).sort().join());
	await fsp.copyFile('d/a', 'd/copy', fs.constants.COPYFILE_EXCL);
	await fsp.copyFile('d/a', 'd/copy', fs.constants.COPYFILE_EXCL).catch(e => say(e.code, e.syscall));
	for (const [f, e] of [['none', 'open'], ['d', 'open']]) await fsp.readFile(f).catch(x => say(x.code));
	const h = await fsp.open('d/w', 'w+');
	await h.write(Buffer.from('hello'), 0, 5, 10); await h.writev([Buffer.from('a'), Buffer.from('b')], 0);
	say((await h.readFile()).length, (await h.read(Buffer.alloc(20), 0, 20, 0)).bytesRead);
	await h.truncate(3); await h.sync(); await h.datasync(); await h.close();
	say(fs.readFileSync('d/w').toString('hex'));
	await Promise.all([...Array(200).keys()].map(async i => { await fsp.writeFile(`d/e/${i}`, `${i}`); }));
	let sum = 0;
	for await (const e of await fsp.opendir('d/e')) if (e.isFile()) sum += +await fsp.readFile(path.join('d/e', e.name));
	say('sum', sum);
	await pipeline(fs.createReadStream('d/a'), zlib.createGzip(), zlib.createGunzip(), crypto.createHash('sha256'), async src => { for await (const c of src) say(c.toString('hex')); });
	await pipeline(fs.createReadStream('d/a', { highWaterMark: 777 }), fs.createWriteStream('d/streamed'));
	say(Buffer.compare(fs.readFileSync('d/a'), fs.readFileSync('d/streamed')));
	say((await fsp.mkdtemp('d/t-')).length, fs.existsSync('d/none'), (await fsp.realpath('d/../d/l')).endsWith('/d/a'));
	await fsp.access('/etc/shadow', fs.constants.R_OK).then(() => say('access'));
	const seen = new Set();
	const w = fs.watch('d', (_, name) => seen.add(name));
	await sleep(50); await fsp.writeFile('d/watched', ''); await fsp.unlink('d/watched');
	for (let i = 0; i < 100 && !seen.has('watched'); i++) await sleep(20);
	w.close(); say('watched', seen.has('watched'));
	const polled = new Promise(r => fs.watchFile('d/a', { interval: 20 }, (cur, prev) => { if (cur.size != prev.size) { fs.unwatchFile('d/a'); r(cur.size); } }));
	await sleep(100); await fsp.appendFile('d/a', '!'); say('polled', await polled);
	await fsp.rm('d', { recursive: true }); say(fs.existsSync('d'));
}

async function workers() {
	const shared = new SharedArrayBuffer(16), ints = new Int32Array(shared);
	const results = await Promise.all([1, 2, 3, 4, 5, 6].map(n => new Promise((ok, bad) => {
		const w = new Worker(__filename, { workerData: { shared, n } });
		w.on('message', ok).on('error', bad);
	})));
	say('workers', results.join(), ints[0], ints[1]);
	const w = new Worker('const {parentPort}=require("worker_threads");parentPort.on("message",m=>{if(m.port){m.port.postMessage("direct");m.port.close()}else parentPort.postMessage(m.length)});', { eval: true });
	for (let i = 0; i < 300; i++) w.postMessage('x'.repeat(i));
	let total = 0;
	await new Promise(r => { let n = 0; w.on('message', m => { total += m; if (++n == 300) r(); }); });
	const { port1, port2 } = new MessageChannel();
	w.postMessage({ port: port2 }, [port2]);
	say('messages', total, (await events.once(port1, 'message'))[0]);
	say('terminated', await w.terminate());
	const spin = new Worker('require("worker_threads").parentPort.postMessage(1);for(;;);', { eval: true });
	await events.once(spin, 'message'); say('spinning ended', await spin.terminate());
	const waiter = new Worker('const {workerData:s}=require("worker_threads");Atomics.wait(new Int32Array(s),2,0);', { eval: true, workerData: shared });
	await events.once(waiter, 'online');
	const gone = events.once(waiter, 'exit');
	while (Atomics.notify(ints, 2) == 0) await sleep(5);
	say('notified', (await gone)[0]);
	say(Atomics.wait(ints, 3, 0, 50));
	const bad = new Worker('throw new Error("inside")', { eval: true });
	bad.on('error', e => say(e.message)); say('exit', await ended(bad));
	const full = new Worker('const a=[];for(;;)a.push(new Array(1e5).fill(Math.random()))', { eval: true, resourceLimits: { maxOldGenerationSizeMb: 24 } });
	full.on('error', e => say(e.code)); say('exit', await ended(full));
}

async function children() {
	const ex = promisify(cp.execFile);
	say((await ex('sh', ['-c', 'echo out; echo err >&2'])).stderr.trim());
	await ex('sh', ['-c', 'exit 3']).catch(e => say('code', e.code));
	await ex('sleep', ['60'], { timeout: 100 }).catch(e => say(e.signal, e.killed));
	await ex('/no/such').catch(e => say(e.code, e.syscall));
	const cat = cp.spawn('cat'); cat.stdin.end('y'.repeat(300000)); let n = 0;
	for await (const c of cat.stdout) n += c.length;
	say('cat', n);
	say(cp.spawnSync('tr', ['a-z', 'A-Z'], { input: 'sync' }).stdout.toString(), cp.execSync('echo $V', { env: { ...process.env, V: 'env' } }).toString().trim());
	const f = cp.fork(__filename, ['child']);
	f.send({ n: 20 }); say('fork', (await events.once(f, 'message'))[0]); f.disconnect(); say('exit', (await events.once(f, 'exit'))[0]);
	say('forty', (await Promise.all([...Array(40).keys()].map(i => ex('sh', ['-c', `exit ${i}`]).then(() => 0, e => e.code)))).reduce((a, b) => a + b));
	const d = cp.spawn('sleep', ['50'], { detached: true, stdio: 'ignore' });
	process.kill(-d.pid, 'SIGTERM'); say('group', (await events.once(d, 'exit'))[1]);
	const got = events.once(process, 'SIGUSR2'), stay = setInterval(() => {}, 1000); process.kill(process.pid, 'SIGUSR2'); say((await got)[0]); clearInterval(stay);
	const extra = cp.spawn('sh', ['-c', 'echo three >&3'], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
	say((await events.once(extra.stdio[3], 'data'))[0].toString().trim());
}

async function timers() {
	const order = [];
	await new Promise(r => {
		setTimeout(() => order.push('t0'), 0); setImmediate(() => order.push('i')); process.nextTick(() => order.push('tick')); Promise.resolve().then(() => order.push('p'));
		setTimeout(() => order.push('t50'), 50); setTimeout(() => { order.push('t200'); r(); }, 200);
	});
	say(order.filter(x => x[0] != 'i' && x != 't0').join());
	let n = 0; await new Promise(r => { const i = setInterval(() => { if (++n == 20) { clearInterval(i); r(); } }, 2); });
	const a = process.hrtime.bigint(); await sleep(30); say(n, process.hrtime.bigint() - a >= 29000000n);
	say(process.cpuUsage().user > 0, process.memoryUsage().rss > 1e7, process.uptime() > 0, os.platform(), os.userInfo().username, process.resourceUsage().maxRSS > 1000, os.getPriority());
}

async function sockets() {
	const server = net.createServer({ allowHalfOpen: true }, s => { let n = 0; s.on('data', d => { n += d.length; }).on('end', () => s.end(`got ${n}`)); });
	server.listen('sock'); await events.once(server, 'listening');
	say((await Promise.all([...Array(20).keys()].map(async i => {
		const c = net.connect('sock'); c.end(Buffer.alloc(50000 * i)); let t = '';
		for await (const d of c) t += d;
		return t;
	}))).join());
	await new Promise(r => server.close(r)); say(fs.existsSync('sock'));
	await new Promise(r => net.connect('sock').on('error', e => r(say(e.code))));
	const web = http.createServer((q, a) => { q.pipe(zlib.createGzip()).pipe(a); }); web.listen('web'); await events.once(web, 'listening');
	const agent = new http.Agent({ keepAlive: true, maxSockets: 3 });
	const answers = await Promise.all([...Array(50).keys()].map(i => new Promise((ok, bad) => {
		const q = http.request({ socketPath: 'web', method: 'POST', agent }, a => { let t = ''; a.pipe(zlib.createGunzip()).on('data', d => { t += d; }).on('end', () => ok(t)); });
		q.on('error', bad); q.end(`body ${i}`);
	})));
	say(answers.filter((t, i) => t == `body ${i}`).length); agent.destroy(); await new Promise(r => web.close(r));
	const tcp = net.createServer(s => s.pipe(s)); tcp.listen(0, '127.0.0.1'); await events.once(tcp, 'listening');
	const c = net.connect(tcp.address().port, '127.0.0.1'); c.setNoDelay(true); c.write('echo'); say((await events.once(c, 'data'))[0].toString()); c.destroy(); tcp.close();
	const u = dgram.createSocket('udp4'); u.bind(0, '127.0.0.1'); await events.once(u, 'listening');
	u.send('gram', u.address().port, '127.0.0.1'); say((await events.once(u, 'message'))[0].toString()); u.close();
}

async function engine() {
	const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2); say(fib(27));
	const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11]);
	say((await WebAssembly.instantiate(wasm)).instance.exports.add(40, 2));
	const m = new WebAssembly.Memory({ initial: 1, maximum: 1000 }); m.grow(500); new Uint8Array(m.buffer)[500 * 65536] = 1; say(m.buffer.byteLength);
	say((await promisify(crypto.pbkdf2)('p', 's', 20000, 32, 'sha512')).toString('hex'), crypto.randomBytes(8).length);
	say((await Promise.all([...Array(8).keys()].map(i => promisify(crypto.scrypt)(`${i}`, 's', 16)))).map(b => b[0]).join());
	let keep = []; for (let i = 0; i < 300000; i++) { keep.push({ i, s: `s${i}` }); if (keep.length > 20000) keep = []; } global.gc && gc(); say('gc', keep.length);
	say(eval('(' + 'x => x + 1'.toString() + ')')(1), new Intl.DateTimeFormat('de', { timeZone: 'UTC', dateStyle: 'full' }).format(0));
	try { (function f() { f(); })(); } catch (e) { say(e.message); }
	const br = zlib.brotliCompressSync(Buffer.alloc(100000, 'abc')); say(br.length, zlib.brotliDecompressSync(br).length);
}

if (!isMainThread) {
	const { shared, n } = workerData, a = new Int32Array(shared);
	for (let i = 0; i < 5000; i++) Atomics.add(a, 0, n);
	for (let i = 0; i < 200; i++) { while (Atomics.compareExchange(a, 2, 0, 1) != 0) Atomics.wait(a, 2, 1, 10); a[1]++; Atomics.store(a, 2, 0); Atomics.notify(a, 2, 1); }
	fs.writeFileSync(`worker-${n}`, 'w'); parentPort.postMessage(n * 10);
} else if (process.argv[2] == 'child') {
	process.on('message', m => process.send({ answer: m.n + 1, connected: process.connected }));
} else (async () => { for (const f of [files, workers, children, timers, sockets, engine]) { say('==', f.name); await f(); } })().catch(e => { console.error(e); process.exit(1); });
EOS
node --expose-gc main.js; echo "gave $?"
echo "== others"
for flags in --jitless '--single-threaded --expose-gc' '--stress-compaction' '--max-old-space-size=40'; do node $flags -e 'let s = 0; for (let i = 0; i < 2e5; i++) s += [i].concat([1]).length; console.log(s)'; done
node -e 'process.on("exit", c => console.log("exit", c)); process.on("SIGTERM", () => { console.log("term"); process.exit(5) }); setInterval(() => {}, 1000); console.log("ready")' >out & p=$!
until grep -q ready out; do sleep 0.05; done; kill $p; wait $p; echo "gave $?"; cat out
{ node -e 'process.abort()'; } 2>/dev/null; echo "abort gave $?"
{ node -e 'process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000)'; } 2>/dev/null; echo "kill gave $?"
echo 'console.log(require("fs").readFileSync(0).length)' >r.js; seq 100000 | node r.js; node r.js </dev/null
seq 1000 | node -e 'process.stdin.pipe(require("zlib").createGzip()).pipe(process.stdout)' | gunzip | md5sum
node --input-type=module -e 'import { cpus } from "os"; import fs from "fs/promises"; console.log(cpus().length > 0, (await fs.stat("/")).isDirectory())'
cat >cluster.js <<'EOS'
const cluster = require('cluster'), http = require('http');
if (cluster.isPrimary) {
	let up = 0, n = 0; const by = new Set();
	for (let i = 0; i < 3; i++) cluster.fork();
	cluster.on('listening', () => { if (++up == 3) for (let i = 0; i < 30; i++) http.get({ socketPath: 'c.sock', agent: false }, r => { r.on('data', d => by.add(`${d}`)).on('end', () => { if (++n == 30) { console.log('answers', n, by.size); for (const w of Object.values(cluster.workers)) w.kill(); } }); }); });
} else http.createServer((q, r) => r.end(`${process.pid}`)).listen('c.sock');
EOS
timeout 60 node cluster.js; echo "gave $?"
node --cpu-prof --cpu-prof-name=prof -e 'let s = 0; for (let i = 0; i < 3e7; i++) s += i % 7; console.log(s)'; [ -s prof ] && echo profiled
