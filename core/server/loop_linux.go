package server

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/internal/turn"
)

// loop serves many connections with one goroutine, which goes round: it waits until
// sockets have something to say, and takes a turn.
//
//	execute   of each of them: read, parse, run every complete command, unlock
//	commit    once for all that has been executed, and, where that is an fsync, for all that
//	          has come meanwhile
//	reply     to each of them, as far as its client takes that
//
// A socket is never waited for: what a client does not take is left to the mailbox's
// goroutine, and the connection is given back when it has been written. Commands that
// are blocked hold nothing: their connection rests, and is called when they are Ready.
//
// Everything else that may take long (a long command, a script, the lock of a shard that
// somebody has, the gate, a shutdown that holds writes back, an fsync) is not foreseen. The
// goroutine simply stands still in it, and loses its seat: the watchdog sees that a
// sitter is still at the step at which it was a tick ago, and seats another goroutine,
// which goes on with the rest of the turn. The one that was late ends what it is at, which
// is one connection, or those whose commit it leads, replies to these alone, gives them back
// and is gone. A tick wakes a thread, which costs as much as some commands do: it is as long as the time for
// which Go lets a goroutine compute, and a tenth of that once a session has said that it may
// be about to wait (Session.BeforeWaiting). So what waits costs the others of its loop between one and
// two ticks, where the machine has a processor for the watchdog, and costs a goroutine for as
// long as it waits, as it would have cost one for ever without loops.
//
// A connection is had by one goroutine at a time (conn.state): whoever takes it from
// resting or called to driven. The loop's mu, under which that happens, or the atomic
// itself, orders what one has done before what the next does.
type loop struct {
	srv  *Server
	poll *poller

	mu       sync.Mutex
	conns    map[int64]*conn // all that are the loop's, by number
	summoned []*conn         // called, to be looked at in the next turn
	ready    []*conn         // driven, to be executed in this turn, from the last one on
	bulky    int             // so many of ready come behind those that are replied to first, 0 for no such parting
	done     []*conn         // driven and executed, to be committed and replied to
	fsyncs   bool            // what one of done has written waits for an fsync
	sitting  *sitter         // who goes round
	asleep   bool            // it waits, or is about to, and nobody has interrupted it
	stopped  bool
	spare    *sitter // who has lost the seat and ended, with buffers

	swept time.Time // when idle connections were last looked for

	unwatched func() // ends what startLoops had turn.Yield do
}

// sitter is a goroutine that has, or had, the seat of a loop, and what it lends to the
// connections: an idle one has no buffers.
type sitter struct {
	loop  *loop
	step  atomic.Uint64 // counts what it does: odd while it waits for sockets and cannot lose the seat
	batch []*conn       // storage for the next loop.done
	brief []*conn       // storage for briefFirst
	first bool          // the turn goes on when those that are replied to first have been
	crowd
	desk
}

func newSitter(l *loop) *sitter { return &sitter{loop: l, crowd: newCrowd(&l.srv.loops)} }

const (
	watchTick  = 10 * time.Millisecond // a sitter that stands still from one to the next loses its seat
	watchClose = time.Millisecond      // the same for a while after a session has said that it may wait
	closely    = 10                    // so many ticks
	watchLong  = 20                    // ticks without a turn until the watchdog sleeps
	groupMax   = 2 * turnMax           // executions after which an fsync waits for no others, whatever clients send
	shutFrom   = 4                     // connections of a turn during which the others wake nobody
	replyFrom  = 1 << 20               // bytes of replies with which a turn ends, though others are ready
	briefMost  = 4                     // commands in a turn of who is replied to first
	sweepMax   = time.Second           // how often idle connections are looked for, at the least
)

// loops are those of a server.
type loops struct {
	all  []*loop
	stir chan struct{} // tells a watchdog that sleeps of a turn
	dull atomic.Bool   // it sleeps
	near chan struct{} // tells it to watch closely
	keen atomic.Bool   // it does, or has been told to
	end  chan struct{} // closed when there is nothing to watch any more
	lost atomic.Int64  // seats

	waiting atomic.Int32 // loops that wait for their sockets
}

// fill tells INFO how many loops there are, and how often somebody stood still in one.
func (ls *loops) fill(w *command.InfoWriter) {
	w.Field("spillway_event_loops", len(ls.all))
	w.Field("spillway_event_loop_seats_lost", ls.lost.Load())
}

// defaultLoops is how many there are unless event-loops says so: negative for none.
func defaultLoops() int { return min(runtime.GOMAXPROCS(0), maxLoops) }

// startLoops starts as many loops as event-loops says. Where the system has none to give,
// connections get a goroutine each. mu is held.
func (s *Server) startLoops() {
	if s.loops.end != nil || s.opt.EventLoops <= 0 {
		return
	}
	s.loops.end, s.loops.stir, s.loops.near = make(chan struct{}), make(chan struct{}, 1), make(chan struct{}, 1)
	for range s.opt.EventLoops {
		p, err := newPoller()
		if err != nil {
			s.log.Error("connections get a goroutine each: there can be no event loop", "error", err)
			break
		}
		l := &loop{srv: s, poll: p, conns: make(map[int64]*conn)}
		l.sitting = newSitter(l)
		s.loops.all = append(s.loops.all, l)
	}
	for _, l := range s.loops.all {
		l.unwatched = turn.Watch(l.poll.prod)
		go l.sitting.sit()
	}
	if len(s.loops.all) > 0 {
		go s.watch()
	}
}

// stopLoops ends them. There are no connections any more.
func (s *Server) stopLoops() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.loops.end:
		return
	default:
	}
	for _, l := range s.loops.all {
		l.unwatched()
		l.mu.Lock()
		l.stopped = true
		l.rouse()
		l.mu.Unlock()
	}
	if s.loops.end != nil {
		close(s.loops.end)
	}
}

// enter makes a connection one of a loop, if it can be, and tells whether it is. mu is
// held.
func (s *Server) enter(c *conn) bool {
	sock, ok := c.nc.(*socket)
	if !ok {
		return false
	}
	l := s.loops.all[0]
	fewest := -1
	for _, o := range s.loops.all {
		o.mu.Lock()
		n := len(o.conns)
		o.mu.Unlock()
		if fewest < 0 || n < fewest {
			l, fewest = o, n
		}
	}
	c.home = l
	c.BeforeWaiting(s.loops.watchClosely)
	l.mu.Lock()
	l.conns[c.ID()] = c
	l.mu.Unlock()
	c.state.Store(resting)
	sock.attach(c, l.poll)
	return true
}

// take returns the socket of a connection that a loop can serve, and else the connection.
// mu is held.
func (s *Server) take(nc net.Conn) net.Conn {
	if len(s.loops.all) == 0 {
		return nc
	}
	sock, err := adopt(nc)
	if err != nil {
		s.log.Warn("a connection gets a goroutine of its own: its socket cannot be taken", "error", err)
	}
	if sock == nil {
		return nc
	}
	return sock
}

// sit is the goroutine: it goes round until the loop has stopped or it has lost its seat.
func (t *sitter) sit() {
	t.begin()
	for {
		batch, seated := t.execute()
		t.finish(batch)
		if !seated || !t.await() {
			break
		}
	}
	t.loop.mu.Lock()
	t.loop.spare = t
	t.loop.mu.Unlock()
}

// replace seats another goroutine. mu is held.
func (l *loop) replace() {
	if l.spare != nil {
		l.sitting, l.spare = l.spare, nil
	} else {
		l.sitting = newSitter(l)
	}
	l.srv.loops.lost.Add(1)
	l.sitting.step.Add(2)
	go l.sitting.sit()
}

// execute executes what the connections of the turn have sent, and takes those that are to
// be replied to: all, or as many as are owed so much that they should have it before more is
// made. Without the seat any more, it is at most the one that has cost it.
func (t *sitter) execute() (batch []*conn, seated bool) {
	l := t.loop
	var c *conn
	replies := 0
	for n := 0; ; n++ {
		owed := c != nil && c.turn(&t.desk)
		if owed {
			replies += c.out.Len()
		}
		l.mu.Lock()
		if l.sitting != t {
			l.mu.Unlock()
			if owed {
				batch = append(batch, c)
			}
			return batch, false
		}
		t.step.Add(2)
		if owed {
			l.done = append(l.done, c)
			l.fsyncs = l.fsyncs || c.AwaitsDisk()
		}
		if len(l.ready) == 0 && l.fsyncs && n < groupMax {
			t.gatherMore()
		}
		if t.first = len(l.ready) > 0 && len(l.ready) == l.bulky && !l.fsyncs; t.first {
			l.bulky = 0
		}
		if len(l.ready) == 0 || replies >= replyFrom || t.first {
			batch, l.done = l.done, t.batch
			l.fsyncs = false
			l.mu.Unlock()
			return batch, true
		}
		last := len(l.ready) - 1
		c = l.ready[last]
		l.ready[last] = nil
		l.ready = l.ready[:last]
		l.mu.Unlock()
	}
}

// gatherMore takes on those that have something to say by now, before an fsync that may
// serve them too: they are to be executed before it. Whoever is done is driven and not among them, but
// who has sent half a command may be again. mu is held, and given up meanwhile; as in await the seat cannot be lost then.
func (t *sitter) gatherMore() {
	l := t.loop
	t.step.Add(1)
	l.mu.Unlock()
	reports := l.poll.reports()
	l.mu.Lock()
	l.collect(reports)
	t.step.Add(1)
}

// finish makes what was executed durable and replies.
func (t *sitter) finish(batch []*conn) {
	for _, c := range batch {
		c.Finish(&c.out) // the first leads the commit of what all have written
	}
	for _, c := range batch {
		t.step.Add(2)
		t.loop.part(c, c.reply(&t.desk))
	}
	clear(batch)
	t.batch = batch[:0]
}

// await waits until there is something for another turn, and makes it. It is false when the
// loop has stopped, or somebody else has the seat. From its first step to its last the seat
// cannot be lost: so one goroutine at a time uses the poller, and none once it is closed.
func (t *sitter) await() bool {
	l := t.loop
	l.mu.Lock()
	if l.sitting != t {
		l.mu.Unlock()
		return false
	}
	if t.first {
		l.mu.Unlock()
		return true
	}
	t.step.Add(1)
	l.mu.Unlock()
	t.makeWay()
	for {
		l.mu.Lock()
		if len(l.ready) > 0 { // execute has ended the turn before it came to them
			t.step.Add(1)
			l.mu.Unlock()
			t.begin()
			return true
		}
		l.asleep = len(l.summoned) == 0 && !l.stopped
		asleep, patience := l.asleep, l.patience()
		l.mu.Unlock()
		var reports []unix.EpollEvent
		if asleep {
			l.srv.loops.waiting.Add(1)
			reports = l.poll.wait(t.nap(patience))
			l.srv.loops.waiting.Add(-1)
		} else {
			reports = l.poll.reports()
		}
		going, ready := t.gather(reports)
		if ready && l.srv.loops.noteTurn() {
			runtime.Gosched() // to the watchdog, which sets its ticks
			wakeSysmon()
		}
		t.begin()
		if ready || !going {
			return going
		}
	}
}

// gather makes a turn of what was reported and of what is called.
func (t *sitter) gather(reports []unix.EpollEvent) (going, ready bool) {
	l := t.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asleep = false
	l.sweep()
	l.collect(reports)
	switch {
	case len(l.ready) > 0:
		t.briefFirst()
		if len(l.ready) >= shutFrom {
			l.poll.shut()
		}
		t.step.Add(1)
		return true, true
	case l.stopped:
		l.poll.close()
	}
	return !l.stopped, false
}

// briefFirst has a turn begin with those that sent few commands in their last one, and reply to them before
// it comes to the others: who waits for each reply waits for the rest of a turn, and not for one more of clients
// that send pipelines. No one waits for longer than before but by what these few take. mu is held.
func (t *sitter) briefFirst() {
	l := t.loop
	bulky, brief := l.ready[:0], t.brief[:0]
	for _, c := range l.ready {
		if c.asked > briefMost {
			bulky = append(bulky, c)
		} else {
			brief = append(brief, c)
		}
	}
	l.bulky = 0
	if len(brief) > 0 {
		l.bulky = len(bulky)
	}
	bulky = append(bulky, brief...)
	l.ready = bulky
	clear(brief)
	t.brief = brief
}

// collect makes those ready that were reported, and those that are called. mu is held.
func (l *loop) collect(reports []unix.EpollEvent) {
	for _, c := range l.summoned {
		c.state.Store(driven)
		l.ready = append(l.ready, c)
	}
	clear(l.summoned)
	l.summoned = l.summoned[:0]
	for i := len(reports) - 1; i >= 0; i-- { // the last of ready is the first to be executed
		if c := l.conns[number(&reports[i])]; c != nil {
			l.heard(c, reports[i].Events)
		}
	}
}

// heard takes in what the poller has reported of a connection. mu is held.
func (l *loop) heard(c *conn, events uint32) {
	sock := c.nc.(*socket)
	if events&^unix.EPOLLIN != 0 { // an error, or the end, is one of both directions
		sock.roomy()
	}
	switch {
	case events == unix.EPOLLOUT:
	case c.state.CompareAndSwap(resting, driven):
		l.ready = append(l.ready, c)
	case c.state.Load() != called:
		sock.hush()
	}
}

// part ends somebody's having a connection, which goes on unless ok is false.
func (l *loop) part(c *conn, ok bool) {
	switch {
	case !ok:
		c.end()
	case c.closing:
		c.endReplied()
	case c.box.parks(): // whoever writes to it gives it back
	case c.more || c.Ready():
		l.call(c)
	default:
		c.setAlarm()
		l.rest(c)
	}
}

// rest gives a connection back that is to be come to when its client sends something, or
// when it is woken.
func (l *loop) rest(c *conn) {
	if !c.state.CompareAndSwap(driven, resting) {
		l.call(c) // it was woken
		return
	}
	c.nc.(*socket).heed()
}

// call gives a connection back that is to be come to again.
func (l *loop) call(c *conn) {
	c.state.Store(called)
	l.summon(c)
	c.nc.(*socket).heed()
}

// wake has a connection be come to, now or once more by who has it. Any goroutine, maybe
// under the lock of a shard.
func (l *loop) wake(c *conn) {
	for {
		switch c.state.Load() {
		case resting:
			if c.state.CompareAndSwap(resting, called) {
				l.summon(c)
				return
			}
		case driven:
			if c.state.CompareAndSwap(driven, again) {
				return
			}
		default:
			return
		}
	}
}

// summon puts a connection that is called in the next turn.
func (l *loop) summon(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.summoned = append(l.summoned, c)
	l.rouse()
}

// rouse ends the waiting for sockets. mu is held, which also keeps the poller open.
func (l *loop) rouse() {
	if l.asleep {
		l.asleep = false
		l.poll.interrupt()
	}
}

// leave takes a connection out that has ended.
func (l *loop) leave(c *conn) {
	c.state.Store(ended)
	l.mu.Lock()
	delete(l.conns, c.ID())
	l.mu.Unlock()
	l.srv.forget(c)
}

// patience is for how long the loop may wait, 0 for ever: idle clients have to be looked
// for. mu is held.
func (l *loop) patience() time.Duration {
	if len(l.conns) == 0 {
		return 0
	}
	return l.srv.sweepEvery()
}

// sweepEvery is how often idle clients are looked for, 0 for never.
func (s *Server) sweepEvery() time.Duration {
	t := time.Duration(s.timeout.Load())
	if t <= 0 {
		return 0
	}
	return min(max(t/8, time.Millisecond), sweepMax)
}

// sweep calls the connections that may have been idle for too long. mu is held.
func (l *loop) sweep() {
	every := l.srv.sweepEvery()
	if every == 0 {
		return
	}
	now := l.srv.db.Clock().Now()
	if now.Sub(l.swept) < every {
		return
	}
	l.swept = now
	for _, c := range l.conns {
		if c.idleFor(now) && c.state.CompareAndSwap(resting, called) {
			l.summoned = append(l.summoned, c)
		}
	}
}

// noteTurn tells the watchdog that there is something to watch, and whether it slept.
//
// Where there is one processor, a command that computes gives it to the watchdog when
// Go's sysmon says so. That sleeps when all is idle, until the next timer, of which the watchdog's ticks are one. While
// the watchdog sleeps there is none: then sysmon has to be woken too, which any system call does
// of which the runtime is told, and those of a loop are not.
func (ls *loops) noteTurn() bool {
	if !ls.dull.Load() || !ls.dull.CompareAndSwap(true, false) {
		return false
	}
	ls.stir <- struct{}{} // never blocks: it has been taken since the last one
	return true
}

// watchClosely tells the watchdog that somebody may be about to wait.
func (ls *loops) watchClosely() {
	if !ls.keen.Load() && ls.keen.CompareAndSwap(false, true) {
		ls.near <- struct{}{} // never blocks: the last one was taken before keen became false
	}
}

// watch is the watchdog: it takes the seat from who stands still.
func (s *Server) watch() {
	s.mu.Lock()
	all, end := s.loops.all, s.loops.end
	s.mu.Unlock()
	type seat struct {
		who  *sitter
		step uint64
	}
	seen := make([]seat, len(all))
	ticks := time.NewTicker(watchTick) //nolint:forbidigo // a goroutine stands still whatever the Clock says
	defer ticks.Stop()
	for quiet, near := 0, 0; ; {
		select {
		case <-end:
			return
		case <-s.loops.near:
			near = closely
			ticks.Reset(watchClose)
			continue
		case <-ticks.C:
		}
		if near > 0 {
			if near--; near == 0 {
				s.loops.keen.Store(false)
				ticks.Reset(watchTick)
			}
		}
		quiet++
		for i, l := range all {
			l.mu.Lock()
			now := seat{who: l.sitting}
			now.step = now.who.step.Load()
			waits := now.step%2 == 1
			if now != seen[i] {
				quiet = 0
			} else if !waits {
				l.replace()
			}
			l.mu.Unlock()
			seen[i] = now
		}
		if quiet < watchLong || near > 0 {
			continue
		}
		ticks.Stop()
		s.loops.dull.Store(true)
		if s.loops.busy(all) && s.loops.dull.CompareAndSwap(true, false) {
			quiet = 0
		} else {
			select {
			case <-s.loops.stir:
				quiet = 0
			case <-s.loops.near: // by who has waited since before the last tick
				near = closely
			case <-end:
				return
			}
		}
		if near > 0 {
			ticks.Reset(watchClose)
		} else {
			ticks.Reset(watchTick)
		}
	}
}

// busy tells whether a turn has begun that noteTurn may not have told of.
func (ls *loops) busy(all []*loop) bool {
	for _, l := range all {
		l.mu.Lock()
		step := l.sitting.step.Load()
		l.mu.Unlock()
		if step%2 == 0 {
			return true
		}
	}
	return false
}
