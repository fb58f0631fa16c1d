package admincli

import (
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

func printInspection(w io.Writer, found inspection, asJSON bool) error {
	if asJSON {
		return printJSON(w, found)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  format  %s\n  rank    %s", wire.Printable(found.File), found.Format, found.Rank)
	if found.Reason != "" && len(found.Evidence) == 0 { // or the evidence says it
		fmt.Fprintf(&b, " (%s)", wire.Printable(found.Reason))
	}
	b.WriteByte('\n')
	for _, e := range found.Evidence {
		explain(&b, e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// explain prints one piece of evidence. What it has from the file is one line,
// whatever the file says (CVE-2023-28486): a name with a line break would print
// evidence of its own.
func explain(b *strings.Builder, e core.Evidence) {
	fmt.Fprintf(b, "\n  %s: %s\n    %s\n", e.Kind, strings.ToUpper(e.Standing.String()), wire.Printable(e.Reason))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "    %-11s %s\n", name, wire.Printable(value))
		}
	}
	if e.Standing == core.Trusted {
		line("worth", e.Rank.String())
		line("signer", e.Signer)
	} else {
		// What nobody has signed must not read like a fact (CVE-2020-12614).
		line("worth", "nothing; "+e.Rank.String()+" if it were trusted")
		line("claims", prefixed("to be of ", e.Signer))
	}
	line("which", e.Place)
	line("identifier", e.Identifier)
	line("team", prefixed("team:", e.TeamID))
	line("key", prefixed("key:", e.KeyID))
	line("digest", e.Digest)
	if !e.SignedAt.IsZero() {
		line("signed", e.SignedAt.UTC().Format(time.RFC3339)+" ("+e.TimeStamp+")")
	}
	for i, c := range e.Chain {
		role := "certificate"
		if i > 0 {
			role = "issued by"
		}
		line(role, c.Subject)
		line("  valid", c.NotBefore.UTC().Format(time.DateOnly)+" to "+c.NotAfter.UTC().Format(time.DateOnly)+", serial "+c.Serial)
		if i == 0 {
			line("  sha1", c.SHA1)
			line("  sha256", c.SHA256)
			line("  key", "spki:"+c.SPKI)
			continue
		}
		line("  key", "ca:"+c.SPKI)
	}
	printChecks(line, e)
}

// printChecks prints what was looked at, a fat file's by its slices. A detail that
// stands above, in the reason or at another check, is not repeated.
func printChecks(line func(name, value string), e core.Evidence) {
	whole, images := bySlice(e)
	said := map[string]bool{e.Reason: true}
	for _, c := range whole {
		line("check", outcome(c, e.Reason, said))
	}
	names, shared := alike(images)
	if len(shared) > 0 {
		line("slice", names)
		for _, c := range shared {
			line("  check", outcome(c, e.Reason, said))
		}
	}
	for _, s := range images {
		line("slice", s.name)
		line("  named", s.identifier)
		said := maps.Clone(said)
		for _, c := range s.checks {
			line("  check", outcome(c, e.Reason, said))
		}
	}
}

// outcome says what came of a check, and adds what is wrong to said.
func outcome(c core.Check, reason string, said map[string]bool) string {
	text := c.Name + ": " + c.Outcome
	if c.Detail != "" && (c.Outcome != core.Failed || !said[c.Detail] && !strings.Contains(reason, c.Detail)) {
		text += " (" + c.Detail + ")"
	}
	if c.Outcome == core.Failed {
		said[c.Detail] = true
	}
	return text
}

func prefixed(prefix, value string) string {
	if value == "" {
		return ""
	}
	return prefix + value
}
