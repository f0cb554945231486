package command

import (
	"strings"

	"github.com/spillwaydb/spillway/core/pubsub"
)

var pubsubHandlers = handlers{
	"subscribe":    func(c *Ctx) { subscribe(c, pubsub.Channel) },
	"unsubscribe":  func(c *Ctx) { unsubscribe(c, pubsub.Channel) },
	"psubscribe":   func(c *Ctx) { subscribe(c, pubsub.Pattern) },
	"punsubscribe": func(c *Ctx) { unsubscribe(c, pubsub.Pattern) },
	"ssubscribe":   func(c *Ctx) { subscribe(c, pubsub.ShardChannel) },
	"sunsubscribe": func(c *Ctx) { unsubscribe(c, pubsub.ShardChannel) },
	"publish":      func(c *Ctx) { publish(c, pubsub.Channel) },
	"spublish":     func(c *Ctx) { publish(c, pubsub.ShardChannel) },

	"pubsub|channels":      func(c *Ctx) { pubsubChannels(c, pubsub.Channel) },
	"pubsub|shardchannels": func(c *Ctx) { pubsubChannels(c, pubsub.ShardChannel) },
	"pubsub|numsub":        func(c *Ctx) { pubsubNumSub(c, pubsub.Channel) },
	"pubsub|shardnumsub":   func(c *Ctx) { pubsubNumSub(c, pubsub.ShardChannel) },
	"pubsub|numpat":        func(c *Ctx) { c.Out.Int(int64(c.Hub.Topics(pubsub.Pattern))) },
	"pubsub|help":          help,
}

// whileSubscribed are the commands that a client may use in RESP2 while it has
// subscriptions, since it could not tell other replies from messages.
var whileSubscribed = map[string]bool{
	"ping": true, "quit": true, "reset": true, "subscribe": true, "unsubscribe": true, "psubscribe": true, "punsubscribe": true,
	"ssubscribe": true, "sunsubscribe": true,
}

// RefuseSubscribed is the error reply of a command that a client may not use which
// has subscriptions and speaks RESP2, or "".
func RefuseSubscribed(cmd *Command) string {
	if whileSubscribed[cmd.Name] {
		return ""
	}
	return "ERR Can't execute '" + cmd.Name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
}

func subscribe(c *Ctx, k pubsub.Kind) {
	s := c.Client.Subscriber()
	// Within EXEC, Redis lets what it has always let.
	if s == nil || k == pubsub.ShardChannel && !c.MayBlock {
		c.Out.Errorf("ERR %s isn't allowed for a DENY BLOCKING client", strings.ToUpper(string(c.Args[0])))
		return
	}
	for _, name := range c.Args[1:] {
		w := c.Client.Pushes() // which holds back what is published from now on
		s.Subscribe(k, name)
		pubsub.ConfirmSubscribe(w, k, name, s.Shown(k))
	}
}

func unsubscribe(c *Ctx, k pubsub.Kind) {
	s := c.Client.Subscriber()
	if s == nil {
		pubsub.ConfirmUnsubscribe(c.Out, k, nil, 0)
		return
	}
	names := c.Args[1:]
	if len(names) == 0 {
		for _, name := range s.Names(k) {
			names = append(names, []byte(name))
		}
	}
	for _, name := range names {
		s.Unsubscribe(k, name)
		pubsub.ConfirmUnsubscribe(c.Client.Pushes(), k, name, s.Shown(k))
	}
	if len(names) == 0 {
		pubsub.ConfirmUnsubscribe(c.Client.Pushes(), k, nil, s.Shown(k))
	}
}

func publish(c *Ctx, k pubsub.Kind) {
	n := c.Hub.Publish(subscriberOf(c.Client), k, c.Args[1], c.Args[2])
	c.Out.Int(int64(n))
}

// subscriberOf is what a client listens with; a client may be nil.
func subscriberOf(by Client) *pubsub.Subscriber {
	if by == nil {
		return nil
	}
	return by.Subscriber()
}

func pubsubChannels(c *Ctx, k pubsub.Kind) {
	if len(c.Args) > 3 {
		wrongSubcommandArgs(c)
		return
	}
	var pattern []byte
	if len(c.Args) == 3 {
		pattern = c.Args[2]
	}
	names := c.Hub.Channels(k, pattern)
	c.Out.Array(len(names))
	for _, name := range names {
		c.Out.BulkString(name)
	}
}

// wrongSubcommandArgs is the reply to a subcommand that has arguments too many.
func wrongSubcommandArgs(c *Ctx) {
	c.Out.Errorf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.", clip(c.Args[1], 128), strings.ToUpper(string(c.Args[0])))
}

func pubsubNumSub(c *Ctx, k pubsub.Kind) {
	c.Out.Array(2 * len(c.Args[2:]))
	for _, name := range c.Args[2:] {
		c.Out.Bulk(name)
		c.Out.Int(int64(c.Hub.Subscribers(k, name)))
	}
}
