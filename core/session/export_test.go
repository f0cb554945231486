package session

import "github.com/spillwaydb/spillway/core/command"

// PushUnforeseen pushes as a command does that says nothing of the key: the unit has
// the lock of the key's shard and no other.
func (s *Session) PushUnforeseen(key, value string) {
	n := s.pushUnseen(key, value)
	s.unit.shards, s.unit.locked = []int{n}, true
	s.unlock()
	s.release()
}

// PushUnseen pushes as nobody's command does.
func (s *Session) PushUnseen(key, value string) {
	n := s.pushUnseen(key, value)
	s.rt.Keyspace.Shard(n).Unlock()
	s.release()
}

func (s *Session) pushUnseen(key, value string) (shard int) {
	s.release()
	s.enter()
	n := s.rt.Keyspace.ShardOf([]byte(key))
	shardOf := s.rt.Keyspace.Shard(n)
	shardOf.Lock()
	shardOf.DB(0).List([]byte(key)).PushBack([]byte(value))
	s.rt.Order.Append(n, 0, [][]byte{[]byte("RPUSH"), []byte(key), []byte(value)})
	s.rt.Events.Happened(nil, command.Event{Name: "rpush", Class: command.ClassList}, n, 0, []byte(key))
	return n
}

// OnKeyEvent has f called at every event of a key, with the shards that the session's
// unit has locked.
func (s *Session) OnKeyEvent(f func(event, key string, shards []int)) {
	s.rt.Events.Listen(listener(func(ev command.Event, key []byte) { f(ev.Name, string(key), s.unit.shards) }))
}

type listener func(ev command.Event, key []byte)

func (l listener) KeyEvent(_ command.Client, ev command.Event, _, _ int, key []byte) { l(ev, key) }

func (l listener) DatabaseEvent(int, func(int, []byte) command.Exchange) {}

// BetweenVisits has f called before a command of any session visits a shard, while it
// has no lock. again says that it has just visited the same one.
func (s *Session) BetweenVisits(f func(again bool)) { s.rt.between = f }

// Alarms is how many commands that wait are to be tried again at some time.
func (s *Session) Alarms() int {
	a := &s.rt.waiting.alarms
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// ForgetPlain has the next command be executed as one about which something may be out of the
// ordinary.
func (s *Session) ForgetPlain() { s.plain = false }

// IsPlain tells whether the next command may be executed as one about which nothing is.
func (s *Session) IsPlain() bool { return s.plain }

// HeldMax is how many commands run under the locks that a batch keeps.
const HeldMax = heldMax
