package config

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// node is a block of a configuration that is written.
type node struct {
	kind   string
	labels []string
	attrs  []attr
	blocks []*node
	next   string // when what the block is about happens next; no part of the configuration
}

// attr is an attribute: a value, or a reference as filesystem.os.data.
type attr struct {
	name  string
	value cty.Value
	ref   string
}

func (n *node) set(name string, v cty.Value) { n.attrs = append(n.attrs, attr{name: name, value: v}) }
func (n *node) text(name, v string)          { n.set(name, cty.StringVal(v)) }

// strings sets an object of strings, if it has any.
func (n *node) strings(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	values := make(map[string]cty.Value)
	for k, v := range m {
		values[k] = cty.StringVal(v)
	}
	n.set(name, cty.ObjectVal(values))
}

func (n *node) refer(name string, to ...string) {
	n.attrs = append(n.attrs, attr{name: name, ref: strings.Join(to, ".")})
}

func (n *node) block(kind string, labels ...string) *node {
	b := &node{kind: kind, labels: labels}
	n.blocks = append(n.blocks, b)
	return b
}

// given adds the attributes of a JSON object.
func (n *node) given(raw json.RawMessage) {
	if len(raw) == 0 {
		return
	}
	t, err := ctyjson.ImpliedType(raw)
	if err != nil {
		panic(fmt.Sprintf("config: %v", err)) // the decoder made it
	}
	v, err := ctyjson.Unmarshal(raw, t)
	if err != nil {
		panic(fmt.Sprintf("config: %v", err))
	}
	for it := v.ElementIterator(); it.Next(); {
		name, value := it.Element()
		n.set(name.AsString(), value)
	}
}

// hcl is what is in the block, as a file or the body of one.
func (n *node) hcl(body *hclwrite.Body) {
	if n.next != "" {
		body.AppendUnstructuredTokens(hclwrite.Tokens{{Type: hclsyntax.TokenComment, Bytes: []byte("# next: " + n.next + "\n")}})
	}
	for _, a := range n.attrs {
		if a.ref == "" {
			body.SetAttributeValue(a.name, a.value)
			continue
		}
		path := strings.Split(a.ref, ".")
		t := hcl.Traversal{hcl.TraverseRoot{Name: path[0]}}
		for _, name := range path[1:] {
			t = append(t, hcl.TraverseAttr{Name: name})
		}
		body.SetAttributeTraversal(a.name, t)
	}
	for i, b := range n.blocks {
		if i > 0 || len(n.attrs) > 0 {
			body.AppendNewline()
		}
		labels := b.labels
		b.hcl(body.AppendNewBlock(b.kind, labels).Body())
	}
}

// json is what is in the block as an object: blocks of a kind are a list, with their
// labels as type and name.
func (n *node) json() map[string]any {
	out := make(map[string]any)
	if n.next != "" {
		out["next"] = n.next
	}
	for _, a := range n.attrs {
		if a.ref != "" {
			out[a.name] = a.ref
			continue
		}
		out[a.name] = ctyjson.SimpleJSONValue{Value: a.value}
	}
	for _, b := range n.blocks {
		o := b.json()
		switch {
		case len(b.labels) == 0 && !isHook(b.kind):
			out[b.kind] = o
			continue
		case len(b.labels) == 0:
		case len(b.labels) == 1:
			o["name"] = b.labels[0]
		default:
			o["type"], o["name"] = b.labels[0], b.labels[1]
		}
		list, _ := out[b.kind].([]any)
		out[b.kind] = append(list, o)
	}
	return out
}

// redacted stands for a secret.
const redacted = "(redacted)"

// masked is the block without secrets.
func (n *node) masked() *node {
	out := &node{kind: n.kind, labels: n.labels, next: n.next}
	for _, a := range n.attrs {
		hidden := false
		if hasHeaders(n.kind) {
			a.value, hidden = maskHook(a.name, a.value)
		}
		if a.ref == "" && !hidden {
			a.value = maskValue(a.name, a.value, n.kind == "user")
		}
		out.attrs = append(out.attrs, a)
	}
	for _, b := range n.blocks {
		out.blocks = append(out.blocks, b.masked())
	}
	return out
}

// maskValue hides a value whose name says that it is a secret, what of others is known to
// be one, and the passwords in a user's rules.
func maskValue(name string, v cty.Value, rules bool) cty.Value {
	secret := holdsSecret([]byte(name))
	out, err := cty.TransformWithTransformer(v, &masker{secret: secret, rules: rules})
	if err != nil {
		panic(fmt.Sprintf("config: %v", err)) // the masker returns none
	}
	return out
}

// masker implements cty.Transformer.
type masker struct{ secret, rules bool }

// Enter implements cty.Transformer.
func (*masker) Enter(_ cty.Path, v cty.Value) (cty.Value, error) { return v, nil }

// Exit implements cty.Transformer.
func (m *masker) Exit(path cty.Path, v cty.Value) (cty.Value, error) {
	if v.IsNull() || v.Type() != cty.String || v.AsString() == "" {
		return v, nil
	}
	s := v.AsString()
	secret := m.secret
	for _, step := range path {
		switch step := step.(type) {
		case cty.GetAttrStep:
			secret = secret || holdsSecret([]byte(step.Name))
		case cty.IndexStep:
			secret = secret || step.Key.Type() == cty.String && holdsSecret([]byte(step.Key.AsString()))
		}
	}
	switch {
	case secret:
		return cty.StringVal(redacted), nil
	case m.rules && strings.ContainsRune("><#!", rune(s[0])):
		return cty.StringVal(s[:1] + redacted), nil
	}
	return cty.StringVal((&secrets{}).text(s)), nil
}
