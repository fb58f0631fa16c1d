package trusttest

import (
	"encoding/asn1"
	"fmt"
)

// Node is a DER element that a test can take apart and put together wrongly.
type Node struct {
	ID       byte   // identifier octet
	Body     []byte // of a primitive
	Children []*Node
}

// Tree takes DER apart. Low tags and definite lengths only, which is what the
// tools that make our fixtures write.
func Tree(der []byte) *Node {
	nodes := trees(der)
	if len(nodes) != 1 {
		panic(fmt.Sprintf("trusttest: %d elements", len(nodes)))
	}
	return nodes[0]
}

func trees(der []byte) []*Node {
	var nodes []*Node
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			panic(fmt.Sprintf("trusttest: %v", err))
		}
		n := &Node{ID: v.FullBytes[0], Body: v.Bytes}
		if v.IsCompound {
			n.Body, n.Children = nil, trees(v.Bytes)
		}
		nodes, der = append(nodes, n), rest
	}
	return nodes
}

func (n *Node) constructed() bool { return n.ID&0x20 != 0 }

// At follows the path of child indices; negative ones count from the end.
func (n *Node) At(path ...int) *Node {
	for _, i := range path {
		if i < 0 {
			i += len(n.Children)
		}
		n = n.Children[i]
	}
	return n
}

// Remove takes the child at i out.
func (n *Node) Remove(i int) {
	if i < 0 {
		i += len(n.Children)
	}
	n.Children = append(n.Children[:i:i], n.Children[i+1:]...)
}

// Add appends children.
func (n *Node) Add(children ...*Node) { n.Children = append(n.Children, children...) }

// Clone is a deep copy.
func (n *Node) Clone() *Node { return Tree(n.DER()) }

// DER encodes the node.
func (n *Node) DER() []byte {
	body := n.Body
	if n.constructed() {
		body = nil
		for _, c := range n.Children {
			body = append(body, c.DER()...)
		}
	}
	return append(header(n.ID, len(body)), body...)
}

// BER encodes the node as codesign and streaming signers do: constructed
// elements in indefinite form, octet strings in pieces. What keep holds for
// stays as it is.
func (n *Node) BER(keep func(*Node) bool) []byte {
	if keep(n) {
		return n.DER()
	}
	if n.ID == asn1.TagOctetString {
		half := len(n.Body) / 2
		pieces := append((&Node{ID: n.ID, Body: n.Body[:half]}).DER(), (&Node{ID: n.ID, Body: n.Body[half:]}).DER()...)
		return append(append([]byte{n.ID | 0x20, 0x80}, pieces...), 0, 0)
	}
	if !n.constructed() {
		return n.DER()
	}
	out := []byte{n.ID, 0x80}
	for _, c := range n.Children {
		out = append(out, c.BER(keep)...)
	}
	return append(out, 0, 0)
}

func header(id byte, length int) []byte {
	if length < 0x80 {
		return []byte{id, byte(length)}
	}
	var digits []byte
	for v := length; v > 0; v >>= 8 {
		digits = append([]byte{byte(v)}, digits...)
	}
	return append([]byte{id, 0x80 | byte(len(digits))}, digits...)
}

// of encodes a constructed element from encoded children.
func of(id byte, children ...[]byte) []byte {
	var body []byte
	for _, c := range children {
		body = append(body, c...)
	}
	return append(header(id, len(body)), body...)
}

// Sequence encodes a SEQUENCE of encoded elements.
func Sequence(elements ...[]byte) []byte { return of(0x30, elements...) }

// Encode is asn1.Marshal for what cannot fail.
func Encode(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("trusttest: %v", err))
	}
	return der
}
