package policy

import "slices"

// covers reports whether d restricts whatever g can grant. It errs towards false:
// what can only be told for each question is not covered.
func (d *rule) covers(g *rule) bool {
	return d.who.covers(g.who) && d.whom.covers(&g.whom) && d.where.covers(&g.where) && d.when.covers(&g.when) &&
		d.signed.covers(&g.signed) && d.requestersCover(g) && (d.job == "" || d.job == g.job) && d.ownCovers() && d.programsCover(g)
}

func (d *rule) requestersCover(g *rule) bool {
	return d.requesters == 0 || g.requesters != 0 && g.requesters&^d.requesters == 0
}

// ownCovers reports whether what the kind adds leaves nothing out.
func (d *rule) ownCovers() bool {
	list, narrows := d.own.(*allowList)
	return d.own == nil || narrows && list.open
}

func (d *rule) programsCover(g *rule) bool {
	if d.open {
		return true
	}
	return len(g.programs) > 0 && !g.open && !slices.ContainsFunc(g.programs, func(of program) bool {
		return !slices.ContainsFunc(d.programs, func(p program) bool { return p.covers(&of) })
	})
}

// covers compares entries as text. A pattern that meets another pattern, with its
// "*" for a character, meets what that one does.
func (p *program) covers(other *program) bool {
	_, base := splitPath(other.text)
	switch {
	case p.kind == byAnything, p.kind == other.kind && p.text == other.text && !other.patterned():
		return true
	case p.kind == byName:
		return other.kind == byPath && base == p.text
	case p.kind == byNamePattern:
		return other.kind == byName && p.glob.match(other.text) || other.kind == byPath && p.glob.match(base) ||
			other.kind == byNamePattern && p.glob.match(other.glob.text())
	case p.kind == byPattern:
		return other.kind == byPath && p.glob.match(other.text) || other.kind == byPattern && p.glob.match(other.glob.text())
	}
	return false
}

func (p *program) patterned() bool { return p.kind == byPattern || p.kind == byNamePattern }

// text is the pattern, as far as matching tells it from others.
func (g *glob) text() string {
	if g.literal {
		return g.prefix
	}
	text := g.prefix + "*"
	for _, part := range g.middle {
		text += part + "*"
	}
	return text + g.suffix
}

func (w *who) covers(g *who) bool {
	switch {
	case w.any || w.open:
		return true
	case g.any || g.open:
		return false
	}
	return within(g.names, w.names) && within(g.ids, w.ids) && within(g.groups, w.groups) && within(g.groupNames, w.groupNames)
}

// covers knows root by its name and number, as whom a grant without a filter
// means on Unix.
func (w *whom) covers(g *whom) bool {
	switch {
	case w.unset || w.any || w.open:
		return true
	case g.any || g.open:
		return false
	case g.unset:
		return has(w.names, "root") && has(w.ids, "0")
	}
	return within(g.names, w.names) && within(g.ids, w.ids)
}

func (w *where) covers(g *where) bool {
	return w.any || w.open || !g.any && !g.open && within(g.names, w.names)
}

func (w *when) covers(g *when) bool {
	return (len(w.dates) == 0 || slices.Equal(w.dates, g.dates)) && (len(w.times) == 0 || slices.Equal(w.times, g.times)) &&
		(w.days == 0 || g.days != 0 && g.days&^w.days == 0)
}

func (f *signed) covers(g *signed) bool {
	return f.open || len(f.entries) == 0 || slices.Equal(f.entries, g.entries)
}

// within reports whether every one of list is in the other, which is sorted.
func within(list, sorted []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !has(sorted, s) })
}
