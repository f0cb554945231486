package pubsub

import "github.com/spillwaydb/spillway/core/resp"

// Kind is what a subscription is to.
type Kind uint8

// The kinds of subscriptions.
const (
	Channel Kind = iota
	Pattern
	ShardChannel
	kinds
)

// words are the names of a kind's messages in the protocol.
var words = [kinds]struct{ message, subscribe, unsubscribe string }{
	Channel:      {"message", "subscribe", "unsubscribe"},
	Pattern:      {"pmessage", "psubscribe", "punsubscribe"},
	ShardChannel: {"smessage", "ssubscribe", "sunsubscribe"},
}

// Message is what was published, as it reaches the subscriptions of one kind, or
// of one pattern. It and what it points to are valid during the call that hands it
// over.
type Message struct {
	Kind    Kind
	Pattern string // that the channel matches; of the kind Pattern
	Channel []byte
	Payload []byte

	wire [2]resp.Writer // encoded, for RESP2 and for RESP3
}

// Wire is the message in a version of the protocol. It is encoded once for all
// subscribers.
func (m *Message) Wire(proto int) []byte {
	w := &m.wire[0]
	if proto >= 3 {
		w = &m.wire[1]
	}
	if len(w.Buf) > 0 {
		return w.Buf
	}
	w.Proto = proto
	if m.Kind == Pattern {
		w.Push(4)
		w.BulkString(words[m.Kind].message)
		w.BulkString(m.Pattern)
	} else {
		w.Push(3)
		w.BulkString(words[m.Kind].message)
	}
	w.Bulk(m.Channel)
	w.Bulk(m.Payload)
	return w.Buf
}

// ConfirmSubscribe appends what a client is told when it has subscribed: n is how
// many subscriptions it has then, see [Subscriber.Shown].
func ConfirmSubscribe(w *resp.Writer, k Kind, name []byte, n int) {
	confirm(w, words[k].subscribe, name, n)
}

// ConfirmUnsubscribe is the same for the end of a subscription. A nil name tells
// that there was none.
func ConfirmUnsubscribe(w *resp.Writer, k Kind, name []byte, n int) {
	confirm(w, words[k].unsubscribe, name, n)
}

func confirm(w *resp.Writer, word string, name []byte, n int) {
	w.Push(3)
	w.BulkString(word)
	if name == nil {
		w.Null()
	} else {
		w.Bulk(name)
	}
	w.Int(int64(n))
}
