package rdb

// Content that this package does not hand out can be walked over, where the
// format says where it ends:
//
//	module     id (1|2 length, 3 float32, 4 float64, 5 string)* 0
//	module aux id when-opcode when, and as a module
//	function   string

// skippable tells whether skip can walk over what a type byte or opcode
// announces.
func skippable(enc byte) bool {
	switch enc {
	case encModule2, opModuleAux, opFunction2:
		return true
	}
	return false
}

// skip walks over the value that enc announced.
func (d *decoder) skip(enc byte) error {
	switch enc {
	case opFunction2:
		return d.drop(1)
	case opModuleAux:
		if err := d.lengths(3); err != nil {
			return err
		}
		return d.skipModule()
	}
	if _, err := d.length(); err != nil {
		return err
	}
	return d.skipModule()
}

// drop takes n strings.
func (d *decoder) drop(n uint64) error {
	for ; n > 0; n-- {
		if _, err := d.str(); err != nil {
			return err
		}
		d.reset()
		d.returned()
	}
	return nil
}

// lengths takes n lengths.
func (d *decoder) lengths(n int) error {
	for range n {
		if _, err := d.length(); err != nil {
			return err
		}
	}
	return nil
}

// count takes a count and, for each, calls item.
func (d *decoder) count(item func() error) error {
	n, err := d.length()
	for ; err == nil && n > 0; n-- {
		err = item()
	}
	return err
}

// fixed takes n bytes, few.
func (d *decoder) fixed(n int) error {
	_, err := d.take(n)
	return err
}

func (d *decoder) skipModule() error {
	for {
		op, err := d.length()
		if err != nil {
			return err
		}
		switch op {
		case 0:
			return nil
		case 1, 2:
			err = d.lengths(1)
		case 3:
			err = d.fixed(4)
		case 4:
			err = d.fixed(8)
		case 5:
			err = d.drop(1)
		default:
			err = d.corrupt("a module's value with the unknown opcode %d", op)
		}
		if err != nil {
			return err
		}
	}
}
