package status

import "fmt"

// picture is the pipeline drawn: where bytes come from, what they go through and where
// they arrive. It is laid out here, and the template draws it.
type picture struct {
	Tall          bool // for narrow windows: from top to bottom
	Width, Height int
	Nodes         []node
	Pipes         []pipe
}

// node is a box of the picture.
type node struct {
	X, Y, W, H int
	Title      string
	Note       string // what it is
	Fact       string // a number
	State      State
	Key        string // by which the page's script follows Bytes from look to look
	Bytes      int64
	TextX      int
	Y1, Y2, Y3 int
}

// pipe is a line between two boxes, along which bytes go: those of the node Key.
type pipe struct {
	Path  string
	Key   string
	Broke bool
}

// The measures of boxes.
const (
	boxWidth, boxHeight = 168, 74
	gapAlong, gapAcross = 52, 16
	margin              = 2
)

// lane is one way of bytes: a row of members, then sinks side by side.
type lane struct {
	row   []node
	sinks []node
}

// lanes are the ways of bytes: the checkpoint's, and the archive's if there is one.
func (r *Report) lanes() []lane {
	check := lane{row: []node{{Title: "shards", Note: "frozen at one cut", Fact: number(r.Memory.Keys) + " keys", Key: "shards"}}}
	for _, m := range r.Pipeline {
		n := node{Title: m.Name, Note: m.Role, Key: "check/" + m.Name, Bytes: m.BytesIn, Fact: sizeOf(m.BytesIn)}
		if m.Errors > 0 {
			n.State = Warning
			n.Fact += fmt.Sprintf(" · %s errors", number(m.Errors))
		}
		switch m.Role {
		case "encoder":
			n.Bytes, n.Fact, n.Note = m.BytesOut, sizeOf(m.BytesOut), "RDB, or commands"
			check.row = append(check.row, n)
		case "stage":
			n.Fact = sizeOf(m.BytesIn) + " → " + sizeOf(m.BytesOut)
			check.row = append(check.row, n)
		default:
			if m.Role == "local" {
				n.Title, n.Note = "data directory", "one rename commits"
			} else {
				n.Note = m.Role + " sink"
			}
			if m.Pending > 0 {
				n.State = Critical
				n.Fact = fmt.Sprintf("%d behind · %s", m.Pending, rough(lag(m.LagSeconds)))
			}
			check.sinks = append(check.sinks, n)
		}
	}
	out := []lane{check}
	if a := r.Archive; a != nil {
		log := lane{row: []node{
			{Title: "log", Note: "appendfsync " + r.Log.Fsync, Fact: sizeOf(r.Log.Bytes), Key: "log", Bytes: r.Log.Bytes},
			{Title: "sealed segments", Note: "waiting for the archive", Fact: fmt.Sprintf("%d · %s", a.WaitingSegments, sizeOf(a.WaitingBytes)), Key: "segments"},
		}}
		if !r.Log.OK {
			log.row[0].State = Critical
		}
		for _, s := range a.Sinks {
			n := node{Title: s.Name, Note: "archive", Key: "archive/" + s.Name, Bytes: s.Bytes, Fact: sizeOf(s.Bytes)}
			if s.Pending > 0 {
				n.Fact += " · lag " + rough(lag(s.LagSeconds))
			}
			if s.Errors > 0 {
				n.State = Warning
			}
			log.sinks = append(log.sinks, n)
		}
		out = append(out, log)
	}
	return out
}

// draw lays the lanes out, below each other, or beside each other in a tall picture.
func (r *Report) draw(tall bool) picture {
	p := picture{Tall: tall}
	across := margin
	for _, l := range r.lanes() {
		across = p.add(l, across) + 2*gapAcross
	}
	p.Width += margin
	p.Height += margin
	return p
}

// add lays a lane out that begins at across, and returns where it ends.
func (p *picture) add(l lane, across int) int {
	size, along := boxHeight, boxWidth
	if p.Tall {
		size, along = boxWidth, boxHeight
	}
	wide := max(1, len(l.sinks))*(size+gapAcross) - gapAcross
	if p.Tall { // sinks below each other: a phone has room for one column
		wide = size
	}
	middle := across + (wide-size)/2
	for i := range l.row {
		p.place(&l.row[i], margin+i*(along+gapAlong), middle)
		if i > 0 {
			p.pipe(l.row[i-1], l.row[i])
		}
	}
	for i := range l.sinks {
		at, side := margin+len(l.row)*(along+gapAlong), across+i*(size+gapAcross)
		if p.Tall {
			at, side = at+i*(along+gapAcross), across
		}
		p.place(&l.sinks[i], at, side)
	}
	for i := range l.sinks {
		if len(l.row) > 0 {
			p.pipe(l.row[len(l.row)-1], l.sinks[i])
		}
	}
	return across + wide
}

// place puts a box at a distance along the lane and across it.
func (p *picture) place(n *node, along, across int) {
	n.X, n.Y, n.W, n.H = along, across, boxWidth, boxHeight
	if p.Tall {
		n.X, n.Y = across, along
	}
	n.Title, n.Note = clip(n.Title, 19), clip(n.Note, 25)
	n.TextX, n.Y1, n.Y2, n.Y3 = n.X+14, n.Y+24, n.Y+42, n.Y+61
	if n.State == "" {
		n.State = OK
	}
	p.Nodes = append(p.Nodes, *n)
	p.Width, p.Height = max(p.Width, n.X+n.W), max(p.Height, n.Y+n.H)
}

func (p *picture) pipe(from, to node) {
	x1, y1, x2, y2 := from.X+from.W, from.Y+from.H/2, to.X, to.Y+to.H/2
	path := fmt.Sprintf("M%d %d C%d %d %d %d %d %d", x1, y1, x1+gapAlong/2, y1, x2-gapAlong/2, y2, x2, y2)
	if p.Tall {
		x1, y1, x2, y2 = from.X+from.W/2, from.Y+from.H, to.X+to.W/2, to.Y
		path = fmt.Sprintf("M%d %d L%d %d", x1, y1, x2, y2)
	}
	p.Pipes = append(p.Pipes, pipe{Path: path, Key: to.Key, Broke: to.State == Critical})
}

// clip cuts a name that would not fit into a box.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
