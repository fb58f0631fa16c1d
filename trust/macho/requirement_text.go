package macho

import (
	"fmt"
	"strings"
)

// Levels of the grammar, tightest first: what is looser than its surroundings
// gets parentheses (reqdumper.cpp, SyntaxLevel).
const (
	levelPrimary = iota
	levelAnd
	levelOr
	levelTop
)

// String returns the requirement in the syntax that csreq prints and compiles.
func (r *Requirement) String() string {
	var b strings.Builder
	r.root.write(&b, levelTop)
	if r.unknown != nil {
		fmt.Fprintf(&b, " /* opcode %d is not known: met by nothing */", *r.unknown)
	}
	return strings.TrimSpace(b.String())
}

func (e *expression) write(b *strings.Builder, level int) {
	if e == nil { // after an unknown opcode
		b.WriteString("never")
		return
	}
	switch e.op {
	case opFalse:
		b.WriteString("never")
	case opTrue:
		b.WriteString("always")
	case opIdentifier:
		b.WriteString("identifier " + word(e.key, ""))
	case opAppleAnchor:
		b.WriteString("anchor apple")
	case opAppleGenericAnchor:
		b.WriteString("anchor apple generic")
	case opAnchorHash:
		fmt.Fprintf(b, "certificate %s = H\"%x\"", slotName(e.slot), e.key)
	case opInfoKeyValue, opInfoKeyField:
		b.WriteString("info[" + word(e.key, ".") + "]" + e.match.String())
	case opEntitlementField:
		b.WriteString("entitlement[" + word(e.key, ".") + "]" + e.match.String())
	case opAnd:
		e.join(b, " and ", levelAnd, level)
	case opOr:
		e.join(b, " or ", levelOr, level)
	case opNot:
		b.WriteString("! ")
		e.left.write(b, levelPrimary)
	case opCDHash:
		fmt.Fprintf(b, "cdhash H\"%x\"", e.key)
	case opCertField:
		b.WriteString("certificate " + slotName(e.slot) + "[" + word(e.key, ".") + "]" + e.match.String())
	case opCertGeneric:
		b.WriteString("certificate " + slotName(e.slot) + "[field." + dotted(e.key) + "]" + e.match.String())
	case opCertPolicy:
		b.WriteString("certificate " + slotName(e.slot) + "[policy." + dotted(e.key) + "]" + e.match.String())
	case opCertFieldDate:
		b.WriteString("certificate " + slotName(e.slot) + "[timestamp." + dotted(e.key) + "]" + e.match.String())
	case opTrustedCert:
		b.WriteString("certificate " + slotName(e.slot) + " trusted")
	case opTrustedCerts:
		b.WriteString("anchor trusted")
	case opNamedAnchor:
		b.WriteString("anchor apple " + word(e.key, ""))
	case opNamedCode:
		b.WriteString("(" + word(e.key, "") + ")")
	case opPlatform:
		fmt.Fprintf(b, "platform = %d", e.slot)
	case opNotarized:
		b.WriteString("notarized")
	case opLegacyDevID:
		b.WriteString("legacy")
	default:
		fmt.Fprintf(b, "/* opcode %d */ ", e.op)
		e.left.write(b, level)
	}
}

func (e *expression) join(b *strings.Builder, operator string, own, level int) {
	if level < own {
		b.WriteByte('(')
	}
	e.left.write(b, own)
	b.WriteString(operator)
	e.right.write(b, own)
	if level < own {
		b.WriteByte(')')
	}
}

func (m match) String() string {
	when := m.when.Format("<2006-01-02 15:04:05Z>")
	switch m.op {
	case matchExists:
		return " /* exists */"
	case matchAbsent:
		return " absent"
	case matchEqual:
		return " = " + word(m.value, "")
	case matchContains:
		return " ~ " + word(m.value, "")
	case matchBeginsWith:
		return " = " + word(m.value, "") + "*"
	case matchEndsWith:
		return " = *" + word(m.value, "")
	case matchLessThan:
		return " < " + word(m.value, "")
	case matchGreaterThan:
		return " > " + word(m.value, "")
	case matchLessEqual:
		return " <= " + word(m.value, "")
	case matchGreaterEqual:
		return " >= " + word(m.value, "")
	case matchOn:
		return " = " + when
	case matchBefore:
		return " < " + when
	case matchAfter:
		return " > " + when
	case matchOnOrBefore:
		return " <= " + when
	case matchOnOrAfter:
		return " >= " + when
	}
	return fmt.Sprintf(" /* match %d: met by nothing */", m.op)
}

func slotName(slot int32) string {
	switch slot {
	case 0:
		return "leaf"
	case -1:
		return "root"
	}
	return fmt.Sprint(slot)
}

// word writes an operand bare if it is one word, else quoted, else, if it
// cannot be printed, in hex. extra are characters that a word may also hold.
func word(s, extra string) string {
	bare, printable := s != "", true
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(extra, c) >= 0
		bare = bare && (letter || i > 0 && c >= '0' && c <= '9')
		printable = printable && c >= ' ' && c < 0x7f
	}
	switch {
	case bare:
		return s
	case printable:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return fmt.Sprintf("0x%x", s)
}

func dotted(content string) string {
	if oid, ok := decodeOID(content); ok {
		return oid.String()
	}
	return fmt.Sprintf("0x%x", content)
}
