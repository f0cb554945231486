package command

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spillwaydb/spillway/core/pubsub"
)

// Notifier publishes what happens to keys, as far as the parameter
// notify-keyspace-events asks for it.
type Notifier struct {
	hub    *pubsub.Hub
	events *KeyEvents
	mu     sync.Mutex // of SetClasses
	asked  atomic.Uint32
}

var _ KeyListener = (*Notifier)(nil)

// NewNotifier returns one that publishes nothing yet, which listens to events.
func NewNotifier(hub *pubsub.Hub, events *KeyEvents) *Notifier {
	n := &Notifier{hub: hub, events: events}
	events.Listen(n)
	events.notifier = n
	return n
}

// Classes are what is published; see SetClasses.
func (n *Notifier) Classes() EventClass { return EventClass(n.asked.Load()) }

// SetClasses has events of these classes published, on the channels that
// ToKeyspace and ToKeyEvent say.
func (n *Notifier) SetClasses(classes EventClass) {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.Classes()
	n.asked.Store(uint32(classes))
	if on := classes != 0; on != (old != 0) {
		if on {
			n.events.Want(1)
		} else {
			n.events.Want(-1)
		}
	}
}

// asks tells whether events of a class are published.
func (n *Notifier) asks(class EventClass) bool {
	return n != nil && n.Classes()&class != 0 && n.Classes()&(ToKeyspace|ToKeyEvent) != 0
}

// KeyEvent implements KeyListener.
func (n *Notifier) KeyEvent(by Client, ev Event, _, db int, key []byte) {
	if !n.asks(ev.Class) || n.hub.Quiet() {
		return
	}
	who, classes := subscriberOf(by), n.Classes()
	if classes&ToKeyspace != 0 {
		n.hub.Publish(who, pubsub.Channel, channelOf("__keyspace@", db, key), []byte(ev.Name))
	}
	if classes&ToKeyEvent != 0 {
		n.hub.Publish(who, pubsub.Channel, channelOf("__keyevent@", db, []byte(ev.Name)), key)
	}
}

func channelOf(prefix string, db int, name []byte) []byte {
	b := make([]byte, 0, len(prefix)+len(name)+8)
	b = append(b, prefix...)
	b = strconv.AppendInt(b, int64(db), 10)
	b = append(b, "__:"...)
	return append(b, name...)
}

// DatabaseEvent implements KeyListener: Redis publishes nothing of it.
func (n *Notifier) DatabaseEvent(int, func(int, []byte) Exchange) {}

// classLetters are the letters of notify-keyspace-events, in the order in which
// Redis shows them; A stands for the first of them up to ClassModule.
var classLetters = []struct {
	letter byte
	class  EventClass
}{
	{'g', ClassGeneric}, {'$', ClassString}, {'l', ClassList}, {'s', ClassSet}, {'h', ClassHash}, {'z', ClassZSet}, {'x', ClassExpired},
	{'e', ClassEvicted}, {'t', ClassStream}, {'d', ClassModule}, {'n', ClassNew}, {'K', ToKeyspace}, {'E', ToKeyEvent}, {'m', ClassMissed},
}

// allClasses is what A stands for.
const allClasses = ClassGeneric | ClassString | ClassList | ClassSet | ClassHash | ClassZSet | ClassExpired | ClassEvicted | ClassStream | ClassModule

// ParseClasses reads the value of notify-keyspace-events.
func ParseClasses(text string) (EventClass, error) {
	var classes EventClass
	for i := range len(text) {
		class := EventClass(0)
		if text[i] == 'A' {
			class = allClasses
		}
		for _, l := range classLetters {
			if l.letter == text[i] {
				class = l.class
			}
		}
		if class == 0 {
			return 0, errors.New("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.") // Redis's wording
		}
		classes |= class
	}
	return classes, nil
}

// String is the value of notify-keyspace-events as Redis shows it: with A there is
// no n, set or not.
func (c EventClass) String() string {
	if c&allClasses == allClasses {
		c &^= ClassNew
	}
	return c.Text()
}

// Text is the value of notify-keyspace-events with every letter.
func (c EventClass) Text() string {
	var b strings.Builder
	if c&allClasses == allClasses {
		b.WriteByte('A')
		c &^= allClasses
	}
	for _, l := range classLetters {
		if c&l.class != 0 {
			b.WriteByte(l.letter)
		}
	}
	return b.String()
}
