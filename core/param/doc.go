// Package param is what a parameter is: what is declared of one, what values it
// takes, and where its value is kept.
//
// A [Param] is data: a name, a type with its bounds, a default, a sentence of
// documentation. CONFIG, the flags, plugins.hcl, INFO and docs/configuration.md
// read the same one. A [Type] checks a value and brings it into the spelling
// that CONFIG GET shows; in that spelling it goes to a [Var], which keeps it.
//
//	text of CONFIG SET, a flag, plugins.hcl ─▶ Type.Parse ─▶ Var.Set ─▶ a field
//
// A [Table] is the parameters of one struct of options. The parameters themselves
// are in core/params.go and core/server/params.go.
package param
