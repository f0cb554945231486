package command

import "github.com/spillwaydb/spillway/core/tracking"

var trackingHandlers = handlers{
	"client|tracking":     clientTracking,
	"client|caching":      clientCaching,
	"client|getredir":     func(c *Ctx) { c.Out.Int(redirection(c.Client.Tracking().Mode())) },
	"client|trackinginfo": clientTrackingInfo,
}

// redirection is the client that gets a client's invalidations: 0 that one itself,
// -1 nobody.
func redirection(m *tracking.Mode) int64 {
	if !m.On {
		return -1
	}
	return m.Redirect
}

func clientTracking(c *Ctx) {
	var m tracking.Mode
	for i := 3; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch opt := c.Args[i]; {
		case is(opt, "redirect") && more:
			i++
			if m.Redirect != 0 {
				c.Out.Error("ERR A client can only redirect to a single other client")
				return
			}
			id, ok := parseInt(c.Args[i])
			if !ok {
				c.Out.Error(errNotInt)
				return
			}
			if !c.Client.Tracking().Knows(id) {
				c.Out.Error("ERR The client ID you want redirect to does not exist")
				return
			}
			m.Redirect = id
		case is(opt, "bcast"):
			m.Broadcast = true
		case is(opt, "optin"):
			m.OptIn = true
		case is(opt, "optout"):
			m.OptOut = true
		case is(opt, "noloop"):
			m.NoLoop = true
		case is(opt, "prefix") && more:
			i++
			m.Prefixes = append(m.Prefixes, string(c.Args[i]))
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	switch {
	case is(c.Args[2], "on"):
		if msg := refuseTracking(c.Client.Tracking(), &m); msg != "" {
			c.Out.Error(msg)
			return
		}
		c.Client.Tracking().Start(m)
	case is(c.Args[2], "off"):
		c.Client.Tracking().Stop()
	default:
		c.Out.Error(errSyntax)
		return
	}
	c.Out.OK()
}

// refuseTracking is the error reply to a mode that contradicts itself or what is
// in force, or "".
func refuseTracking(t *tracking.Client, m *tracking.Mode) string {
	old := t.Mode()
	switch {
	case !m.Broadcast && len(m.Prefixes) > 0:
		return "ERR PREFIX option requires BCAST mode to be enabled"
	case old.On && old.Broadcast != m.Broadcast:
		return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	case m.Broadcast && (m.OptIn || m.OptOut):
		return "ERR OPTIN and OPTOUT are not compatible with BCAST"
	case m.OptIn && m.OptOut:
		return "ERR You can't specify both OPTIN mode and OPTOUT mode"
	case m.OptIn && old.OptOut, m.OptOut && old.OptIn:
		return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
	}
	if given, other, existing, found := t.Overlap(m.Prefixes); found {
		which := "another provided"
		if existing {
			which = "an existing"
		}
		return "ERR Prefix '" + given + "' overlaps with " + which + " prefix '" + other + "'. Prefixes for a single client must not overlap."
	}
	return ""
}

func clientCaching(c *Ctx) {
	t := c.Client.Tracking()
	m := t.Mode()
	switch yes, no := is(c.Args[2], "yes"), is(c.Args[2], "no"); {
	case !m.On:
		c.Out.Error("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	case yes && !m.OptIn:
		c.Out.Error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
	case no && !m.OptOut:
		c.Out.Error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	case !yes && !no:
		c.Out.Error(errSyntax)
	default:
		t.SetCaching(true)
		c.Out.OK()
	}
}

func clientTrackingInfo(c *Ctx) {
	t := c.Client.Tracking()
	m := t.Mode()
	var flags []string
	add := func(on bool, name string) {
		if on {
			flags = append(flags, name)
		}
	}
	add(m.On, "on")
	add(!m.On, "off")
	add(m.Broadcast, "bcast")
	add(m.OptIn, "optin")
	add(m.OptIn && t.Caching(), "caching-yes")
	add(m.OptOut, "optout")
	add(m.OptOut && t.Caching(), "caching-no")
	add(m.NoLoop, "noloop")
	add(t.Broken(), "broken_redirect")
	c.Out.Map(3)
	c.Out.BulkString("flags")
	c.Out.Set(len(flags))
	for _, f := range flags {
		c.Out.BulkString(f)
	}
	c.Out.BulkString("redirect")
	c.Out.Int(redirection(m))
	c.Out.BulkString("prefixes")
	c.Out.Array(len(m.Prefixes))
	for _, p := range m.Prefixes {
		c.Out.BulkString(p)
	}
}

// Tracker tells a table of tracked clients what happens to keys.
type Tracker struct{ table *tracking.Table }

var (
	_ KeyListener   = Tracker{}
	_ EmptyListener = Tracker{}
)

// NewTracker returns a table for so many shards, which hears of events.
func NewTracker(shards int, events *KeyEvents) *tracking.Table {
	t := tracking.NewTable(shards, events.Want)
	events.Listen(Tracker{t})
	return t
}

func trackedOf(by Client) *tracking.Client {
	if by == nil {
		return nil
	}
	return by.Tracking()
}

// KeyEvent implements KeyListener.
func (t Tracker) KeyEvent(by Client, ev Event, shard, _ int, key []byte) {
	switch ev.Class {
	case ClassExpired, ClassEvicted:
		t.table.Vanished(trackedOf(by), shard, key)
	default:
		t.table.Invalidate(trackedOf(by), shard, key)
	}
}

// DatabaseEvent implements KeyListener: of databases that are exchanged no client
// is told, as in Redis, and of those that are emptied by Emptied.
func (t Tracker) DatabaseEvent(int, func(int, []byte) Exchange) {}

// Emptied implements EmptyListener.
func (t Tracker) Emptied(by Client) { t.table.Flush(trackedOf(by)) }
