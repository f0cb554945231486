package apply

import "fmt"

// Origin is where commands come from, to be named in an error.
type Origin struct {
	File   string
	Block  uint64 // of a log; 0 in other files
	Offset int64  // where the block, or in other files the command, begins

	// Foreign says that another program wrote the file, so that an error
	// proposes nothing that this one could do about it.
	Foreign bool
}

// same tells whether two origins are one, looking first at what differs most.
func (o *Origin) same(other *Origin) bool {
	return o.Offset == other.Offset && o.Block == other.Block && o.Foreign == other.Foreign && o.File == other.File
}

// refuse says that what is at o cannot be applied, and what helps.
func (o Origin) refuse(err error) error {
	place := fmt.Sprintf("log segment %s, block %d at offset %d", o.File, o.Block, o.Offset)
	if o.Block == 0 {
		place = fmt.Sprintf("%s, offset %d", o.File, o.Offset)
	}
	if o.Foreign {
		return fmt.Errorf("%s: %w", place, err)
	}
	return fmt.Errorf("%s: %w; start the version that wrote it, restore a backup, "+
		"or go back to an older checkpoint with `spillway repair --generation` (nothing was changed on disk)", place, err)
}
