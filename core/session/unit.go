package session

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/wal"
)

// unit is what is executed under one set of locks and is one entry of the log: a
// command, or all those of a transaction.
//
//	add (each command) → Session.lock → Session.call (each) → log → Session.unlock
//
// The lock of a unit of one shard may stay held behind it, for the next command of
// a pipeline.
type unit struct {
	shards []int // that it may touch, ascending
	shard  int   // the only one of them, -1 when there are several or none
	locked bool  // shards are locked, and will be unlocked behind the unit
	more   []int // what shards will be instead, see Session.widen

	commands []queued // that it is made of

	several bool            // the gate of those who lock several shards is passed
	script  bool            // a command of it is a script
	lease   *keyspace.Lease // by which it has its shards, if one is

	effects []wal.Cmd // to be logged; scratch of a single command
	changed bool      // a command has effects, a key that has expired among them
	wrote   bool      // a command has changed something itself
	effect  [][]byte  // scratch
}

// add makes the unit have room for a command: it will lock the shards of its keys.
func (u *unit) add(ks *keyspace.Keyspace, cmd *command.Command, args [][]byte) (err error) {
	u.shards, err = command.Shards(cmd, args, ks, u.shards)
	u.commands = append(u.commands, queued{cmd, args})
	if err != nil {
		u.clear()
	}
	return err
}

// clear makes the unit an empty one.
func (u *unit) clear() {
	u.shards = u.shards[:0]
	u.commands = u.commands[:0]
	if cap(u.commands) > 64 {
		u.commands = nil
	}
}

// addShards adds shards that no command of the unit may need.
func (u *unit) addShards(shards []int) {
	u.shards = append(u.shards, shards...)
	slices.Sort(u.shards)
	u.shards = slices.Compact(u.shards)
}

// lock takes the locks of the unit. With keep, that of a single shard stays held
// until the batch ends or another shard is needed; a unit without keys runs
// without any lock. It is false, and nothing is locked, when a script is busy that
// has what the unit needs.
func (s *Session) lock(keep bool) bool {
	u := &s.unit
	u.shard = -1
	if len(u.shards) == 1 {
		u.shard = u.shards[0]
	}
	switch {
	case u.script:
		s.unhold()
		s.enter()
		return s.lease()
	case len(u.shards) == 0:
		s.lockNone()
		return true
	case keep && u.shard >= 0:
		if !s.hold(u.shard) {
			u.clear()
			return false
		}
	default:
		if !s.lockShards() {
			return false
		}
	}
	for s.rt.conditions.load()&reachFar != 0 && s.widen() {
		s.unlockShards()
		u.shards = u.more
		if !s.lockShards() {
			return false
		}
	}
	return true
}

// lockNone is lock for a unit that needs no shard.
func (s *Session) lockNone() {
	s.unit.shard = -1
	if s.holds() || s.gated { // or the clock would be asked once more
		s.release()
	}
}

// lockShards takes the locks of the unit's shards, and holds no others. It is false as
// lock is.
func (s *Session) lockShards() bool {
	u, ks := &s.unit, s.rt.Keyspace
	s.unhold()
	s.enter()
	switch {
	case len(u.shards) == 1:
		if !ks.Shard(u.shards[0]).LockUnlessBusy() {
			u.clear()
			return false
		}
	case !ks.EnterSeveral(false):
		u.clear()
		return false
	default:
		u.several = true
		for _, n := range u.shards {
			if shard := ks.Shard(n); !shard.TryLockSoon() {
				s.beforeWaiting()
				shard.Lock()
			}
		}
	}
	u.locked = true
	s.clock.stale = true // the locks may have been long in coming
	return true
}

// lease is lock for a unit with a script, which may take further shards.
func (s *Session) lease() bool {
	u, ks := &s.unit, s.rt.Keyspace
	u.script, u.shard = false, -1
	s.beforeWaiting()
	if u.lease = ks.Exclusive(); u.lease == nil {
		u.clear()
		return false
	}
	for _, n := range u.shards {
		ks.Take(u.lease, n)
	}
	u.locked = true
	s.clock.stale = true
	return true
}

// lockFor takes the locks of a unit that is one command.
func (s *Session) lockFor(cmd *command.Command, args [][]byte) error {
	u, ks := &s.unit, s.rt.Keyspace
	switch {
	case cmd.Shardless:
		s.lockNone()
		return nil
	case cmd.OnlyKey > 0: // as nearly always
		u.shard = s.shardOf(args, cmd.OnlyKey)
		u.shards = append(u.shards, u.shard)
		if !s.hold(u.shard) {
			u.clear()
			return errShardBusy
		}
		if s.rt.conditions.load()&reachFar == 0 {
			return nil
		}
		u.clear() // serving may need more
	}
	if err := u.add(ks, cmd, args); err != nil {
		return err
	}
	if !s.lock(cmd.Flags&command.AllShards == 0) {
		return errShardBusy
	}
	return nil
}

// errShardBusy is for a unit that a busy script keeps from its shards.
var errShardBusy = errors.New("a busy script has a shard of the command")

// unlockShards gives up the locks that lockShards has taken, if it has.
func (s *Session) unlockShards() {
	u := &s.unit
	if u.locked {
		if u.lease != nil {
			s.rt.Keyspace.End(u.lease, u.shards)
			u.lease = nil
		} else {
			for _, n := range u.shards {
				s.rt.Keyspace.Shard(n).Unlock()
			}
		}
		if u.several {
			s.rt.Keyspace.LeaveSeveral()
			u.several = false
		}
		u.locked = false
	}
}

// unlock ends the unit. Before anybody else can see what it has done, those are
// served who have waited for it.
func (s *Session) unlock() {
	u := &s.unit
	if s.rt.conditions.load()&linesReady != 0 {
		s.serveWaiting()
	}
	if u.locked {
		s.noteSeen(u.shards...)
		s.unlockShards()
	}
	u.clear()
	if s.unserved {
		s.serveUnforeseen()
	}
	if s.pausing {
		s.release()
		s.awaitUnits()
	}
}

// logCommand appends what the only command of the unit has changed to the order,
// while its locks are still held. Several effects, or several shards, are a
// transaction of it.
func (s *Session) logCommand(args [][]byte) {
	c, u, order := &s.ctx, &s.unit, s.rt.Order
	switch {
	case u.shard >= 0 && !order.Taken():
		order.Skip(u.shard)
	case u.shard >= 0 && c.Verbatim():
		order.Append(u.shard, c.DB, args)
	case u.shard >= 0 && c.NumEffects() == 1:
		n, effect := c.Effect(0, u.effect[:0])
		u.effect = effect
		order.Append(u.shard, n, effect)
	default:
		u.effects = command.AppendEffects(c, u.effects[:0])
		order.AppendTx(u.shards, u.effects)
		u.effects = u.effects[:0]
	}
	if c.Writes() {
		s.noteWrite()
	}
}

// collect keeps what one of the unit's commands has changed, for logAll.
func (s *Session) collect() {
	c, u := &s.ctx, &s.unit
	if !c.HasEffects() {
		return
	}
	if s.rt.Order.Taken() {
		u.effects = command.AppendEffects(c, u.effects)
	}
	u.changed, u.wrote = true, u.wrote || c.Writes()
}

// logAll appends what the unit's commands have changed to the order, as one
// transaction.
func (s *Session) logAll() {
	u, order := &s.unit, s.rt.Order
	switch {
	case s.rt.scripting.abandoned.Load(): // the engine ends, and a script of it was cut short
	case len(u.effects) > 0:
		order.AppendTx(u.shards, u.effects)
	case u.changed && len(u.shards) > 0:
		order.Skip(u.shards[0])
	}
	if u.wrote {
		s.noteWrite()
	}
	u.effects, u.changed, u.wrote = nil, false, false // it may have been much
}

// heldMax bounds how many pipelined commands run under one lock hold.
const heldMax = 128

// keptMax is of how many shards a batch keeps the locks of all that it comes to. To pass the lock of a shard
// and what lies beside it from one processor to another takes longer than a GET: where there are few
// shards, and the commands of two clients are about all of them in turn, it is less to wait for the end of
// the other's batch. Where there are many, two clients seldom meet, and each keeps the shard of its last command.
const keptMax = 4

// holds tells whether the session keeps the lock of any shard between its units.
func (s *Session) holds() bool { return s.held >= 0 || s.kept != 0 }

// keeps tells whether shard n is one of those that the batch keeps beside the last.
func (s *Session) keeps(n int) bool { return s.kept&(1<<uint(n)) != 0 }

// hold makes shard n one whose lock is held. It is false, and none is held, when
// a script is busy that has the shard.
func (s *Session) hold(n int) bool {
	if (s.held == n || s.keeps(n)) && s.heldFor < heldMax {
		s.heldFor++
		return true
	}
	return s.moveTo(n)
}

// moveTo is hold for a shard whose lock is not held, or has been for long enough. Nobody
// waits for a shard with the lock of another.
func (s *Session) moveTo(n int) bool {
	s.unhold()
	s.enter()
	if shard := s.rt.Keyspace.Shard(n); !shard.TryLockSoon() {
		s.beforeWaiting()
		if !shard.LockUnlessBusy() {
			return false
		}
		s.clock.stale = true // the lock may have been long in coming
	}
	s.held, s.heldFor = n, 1
	return true
}

// tryHold is hold, if that needs no waiting to speak of. Where there are few shards the others are kept.
func (s *Session) tryHold(n int) bool {
	if s.held == n || s.keeps(n) {
		return true
	}
	if ks := s.rt.Keyspace; ks.NumShards() > keptMax {
		s.unhold()
		s.enter()
		if !ks.Shard(n).TryLock() {
			return false
		}
		s.held, s.heldFor = n, 1
		return true
	}
	s.enter()
	if !s.rt.Keyspace.Shard(n).TryLockSoon() {
		return false
	}
	if !s.holds() {
		s.heldFor = 0
	}
	s.kept |= 1 << n
	return true
}

// unhold gives up the locks that are kept.
func (s *Session) unhold() {
	if s.held >= 0 {
		s.giveUp(s.held)
		s.held = -1
	}
	for ; s.kept != 0; s.kept &= s.kept - 1 {
		s.giveUp(bits.TrailingZeros64(s.kept))
	}
}

// giveUp gives up the lock of a shard that was kept.
func (s *Session) giveUp(n int) {
	s.noteSeen(n)
	s.rt.Keyspace.Shard(n).Unlock()
}

func (s *Session) enter() {
	if !s.gated {
		s.rt.Gate.RLock()
		s.gated = true
	}
}

// release gives up every lock that is kept between commands.
func (s *Session) release() {
	s.unhold()
	s.clock.stale = true
	s.ctx.Account()
	if s.gated {
		s.rt.Gate.RUnlock()
		s.gated = false
	}
}
