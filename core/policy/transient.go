package policy

import (
	"slices"

	"kpm/core"
)

// transientKey is the key of Extension that has a command run as an account made for
// it: true, or an object with Groups.
const transientKey = "EphemeralAccount"

// maxGroups bounds Groups.
const maxGroups = 16

// transient reads EphemeralAccount. What is wrong in it costs the policy its grant:
// the command would run with other rights than were meant.
func (r *reader) transient(p *Policy, e fields) {
	const path = "$.Extension." + transientKey
	v, given := e.filled(transientKey)
	switch {
	case !given:
		return
	case v.IsBool():
		if v.Text() == "true" {
			p.Transient = &core.TransientTerms{}
		}
		return
	case !v.IsObject():
		r.doubt(v, path, describe(v), `true, false, or {"Groups": [...]}`, "")
		return
	}
	o := r.object(v, path, []string{"Groups"})
	terms := &core.TransientTerms{}
	if list, given := o.filled("Groups"); given {
		groups, whole := r.texts(list, path+".Groups")
		if whole && len(groups) > maxGroups {
			r.doubt(list, path+".Groups", "more groups", "at most 16", "")
		}
		terms.Groups = groups
	}
	p.Transient = terms
}

// transient says whether what was met has the command run as an account of its own: it
// does if one of the policies that grant says so, in the groups that all of these name.
func (x *index) transient(found hits) *core.TransientTerms {
	var terms *core.TransientTerms
	for _, h := range found {
		r := &x.rules[h.rule]
		if !r.grants || h.by != full || r.transient == nil {
			continue
		}
		if terms == nil {
			terms = &core.TransientTerms{Groups: slices.Clone(r.transient.Groups)}
			continue
		}
		terms.Groups = slices.DeleteFunc(terms.Groups, func(g string) bool { return !slices.Contains(r.transient.Groups, g) })
	}
	return terms
}
