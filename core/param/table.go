package param

// Table is parameters whose values a struct O of options has before the start, in
// the order of documentation. The owner of the table knows in addition where a value
// is once it runs.
type Table[O any] struct {
	values func(*O) *Values
	all    []Option[O]
}

// Option is a parameter of a [Table].
type Option[O any] struct {
	*Param
	// Field is the field of the options that keeps it; nil: it is kept as text.
	Field func(*O) Var
}

// NewTable makes a table of entries, of which option says what they are to options;
// values is where options keep what has no field.
func NewTable[O, E any](entries []E, option func(*E) Option[O], values func(*O) *Values) *Table[O] {
	t := &Table[O]{values: values}
	for i := range entries {
		t.all = append(t.all, option(&entries[i]))
	}
	return t
}

// Params are the parameters, in the order of the table.
func (t *Table[O]) Params() []*Param {
	out := make([]*Param, len(t.all))
	for i, p := range t.all {
		out[i] = p.Param
	}
	return out
}

// Var is where the options keep the parameter of a name; nil for one that cannot be
// chosen, or is none.
func (t *Table[O]) Var(o *O, name string) Var {
	for _, p := range t.all {
		switch {
		case p.Name != name:
		case p.HCL == "":
			return nil
		case p.Field != nil:
			return p.Field(o)
		default:
			return t.values(o).Var(p.Param)
		}
	}
	return nil
}

// Reset gives the options the default of the parameter of a name.
func (t *Table[O]) Reset(o *O, name string) {
	for _, p := range t.all {
		if p.Name == name {
			t.reset(o, p)
		}
	}
}

// Defaults gives the options the defaults of all parameters but those that the
// machine decides.
func (t *Table[O]) Defaults(o *O) {
	for _, p := range t.all {
		t.reset(o, p)
	}
}

func (t *Table[O]) reset(o *O, p Option[O]) {
	if p.Field != nil && p.Auto == "" {
		_ = p.Field(o).Set(p.Default) // a test says that it is a value
	}
}
