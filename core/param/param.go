package param

// Param is what is declared of a parameter.
type Param struct {
	// Name is the one that CONFIG GET and SET know it by, which is Redis's where
	// Redis has the parameter, and with two dashes the name of its flag.
	Name string
	// Aliases are further names that CONFIG knows it by: Redis's older ones.
	Aliases []string
	// HCL is the attribute's name in the block server of plugins.hcl. One without
	// has no flag either: it cannot be chosen, or is chosen elsewhere.
	HCL string
	// Type is what values there are.
	Type Type
	// Default is the value unless another is given, as CONFIG GET shows it.
	Default string
	// Auto says in words what the default is where the machine decides it; Default
	// is empty then.
	Auto string
	// Fixed parameters cannot change while the engine runs.
	Fixed bool
	// Protected parameters are fixed, and are those that Redis protects by
	// enable-protected-configs: CONFIG SET refuses them in its words for that.
	Protected bool
	// Hidden parameters are shown by CONFIG GET only when they are named in full.
	Hidden bool
	// Secret values are shown neither in logs nor in diagnostics.
	Secret bool
	// Info is the field of INFO that shows the value; empty means none.
	Info string
	// Doc is one sentence on what the parameter does.
	Doc string
}

// Flag is the name of the parameter's flag, without dashes; empty means none.
func (p *Param) Flag() string {
	if p.HCL == "" {
		return ""
	}
	return p.Name
}

// Names are all names that CONFIG knows the parameter by.
func (p *Param) Names() []string { return append([]string{p.Name}, p.Aliases...) }

// Var is the place where a value is kept, as flag.Value is in package flag.
type Var interface {
	// String returns the value as CONFIG GET shows it.
	String() string
	// Set stores a value that the parameter's Type has parsed. An error says why
	// the value, though it is one, cannot be had here; nothing has changed then.
	Set(text string) error
}

// Staged is a Var whose Set only takes note of the value, since it makes sense together
// with others that are set at the same time: Commit puts all that were noted in force,
// or none when it fails, and Rollback forgets them. String shows what was noted.
type Staged interface {
	Var
	Commit() error
	Rollback()
}
