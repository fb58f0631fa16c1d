package fileaccess

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/policy"
)

// kept is one file that rules are about.
type kept struct {
	ref              core.FileRef
	denied, absolute []core.UserID
	policies         []core.PolicyRef
}

// survey finds the files that rules are about, and notes for each whom it is denied
// to. Settling follows. k.mu is held.
func (k *Keeper) survey() {
	s := surveyor{keeper: k}
	if len(k.rules) > 0 && !s.people() {
		k.report(s.problems) // what is denied stays denied
		return
	}
	for i := range k.rules {
		s.rule(&k.rules[i])
	}
	for _, found := range s.files {
		e := k.state.of(found.ref)
		if e == nil {
			if e = k.begin(found.ref); e == nil {
				continue
			}
		}
		e.Ref.Path = found.ref.Path
		found.denied, found.absolute = join(found.denied, s.stays(e.Denied)), join(found.absolute, s.stays(e.Absolute))
		e.Denied, e.Absolute, e.Policies = found.denied, found.absolute, found.policies
	}
	for _, e := range k.state.Entries {
		if !s.doubts(e.Ref.Path) && !slices.ContainsFunc(s.files, func(f *kept) bool { return f.ref.Same(e.Ref) }) {
			e.Denied, e.Absolute = s.stays(e.Denied), s.stays(e.Absolute)
		}
	}
	k.watch(s.watched)
	k.report(s.problems)
}

// begin makes an entry of a file that is as it was. k.mu is held.
func (k *Keeper) begin(ref core.FileRef) *entry {
	f, err := k.cfg.Lists.Reopen(ref)
	if err != nil {
		return nil // it has just gone
	}
	defer f.Close()
	before, err := f.Read()
	if err != nil {
		return nil // it was read a moment ago
	}
	e := &entry{Ref: ref, Before: before}
	k.state.Entries = append(k.state.Entries, e)
	return e
}

// surveyor is one survey.
type surveyor struct {
	keeper   *Keeper
	accounts []core.Account
	groups   map[string][]string // names by id
	files    []*kept
	problems []Problem
	watched  []string
	// unknown is true if it could not be told who somebody is, unsure are those of whom
	// it could not be told in which groups they are, and doubtful are the
	// patterns of files of which something could not be opened: what they are denied
	// stays denied.
	unknown  bool
	unsure   []core.UserID
	doubtful []string
}

// stays are those of the users to whom a file was denied to whom it stays denied because
// somebody who is named may be missing.
func (s *surveyor) stays(users []core.UserID) []core.UserID {
	if s.unknown {
		return users
	}
	return slices.DeleteFunc(slices.Clone(users), func(u core.UserID) bool { return !slices.Contains(s.unsure, u) })
}

// doubts reports whether it is not certain that no rule is about path any more.
func (s *surveyor) doubts(path string) bool {
	return slices.ContainsFunc(s.doubtful, func(pattern string) bool { return s.matches(pattern, path) })
}

func (s *surveyor) matches(pattern, path string) bool {
	return policy.MatchFile(pattern, s.keeper.cfg.Platform.PathKey(path))
}

// people looks up who is there, and reports whether that could be told. Directories'
// users are known by name only.
func (s *surveyor) people() bool {
	var err error
	if s.accounts, err = s.keeper.cfg.Lists.People(); err != nil {
		s.problem("", core.PolicyRef{}, "who is there cannot be told: "+err.Error())
		return false
	}
	var ids []string
	for _, a := range s.accounts {
		ids = append(ids, a.Groups...)
	}
	slices.Sort(ids)
	if s.groups, err = s.keeper.cfg.Accounts.GroupNames(slices.Compact(ids)); err != nil {
		s.problem("", core.PolicyRef{}, "what groups are called cannot be told: "+err.Error())
		return false
	}
	return true
}

func (s *surveyor) problem(file string, by core.PolicyRef, why string) {
	s.problems = append(s.problems, Problem{file, by, why})
}

// rule notes what one rule keeps people from.
func (s *surveyor) rule(r *core.FileRule) {
	users := s.users(r)
	if r.Unplaced {
		s.problem("", r.PolicyRef, "it also names files by something other than a place: for those no access control list is changed")
	}
	for _, pattern := range r.Files {
		for _, path := range s.paths(pattern, r.PolicyRef) {
			if r.Monitor {
				if len(users) > 0 {
					s.watched = append(s.watched, fmt.Sprintf("policy %s would keep %d users from %s", r.ID, len(users), path))
				}
				continue
			}
			s.file(path, r, users)
		}
	}
}

// users are those that a rule names, administrators left out.
func (s *surveyor) users(r *core.FileRule) (list []core.UserID) {
	add := func(user core.UserID) {
		if user != s.keeper.cfg.Administrator {
			list = append(list, user)
		}
	}
	for _, a := range s.accounts {
		switch {
		case r.Everyone || s.named(r, a):
			add(a.User)
		case a.GroupsUnknown && len(r.Groups) > 0:
			// Attack: somebody takes the machine off the network, and is in none of the
			// groups that are kept from a file.
			s.unsure = append(s.unsure, a.User)
			s.problem("", r.PolicyRef, fmt.Sprintf("what groups %q is in cannot be told: what is denied to them stays so", a.Name))
		}
	}
	for _, name := range r.Users {
		if a, err := s.keeper.cfg.Accounts.ByName(name); err == nil { // "#id" as well
			add(a.User)
		} else if !errors.Is(err, core.ErrNoAccount) {
			s.unknown = true
			s.problem("", r.PolicyRef, fmt.Sprintf("who %q is cannot be told: %v", name, err))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// named reports whether a rule names an account by a group that it is in.
func (s *surveyor) named(r *core.FileRule, a core.Account) bool {
	return slices.ContainsFunc(r.Groups, func(group string) bool {
		if id, isID := strings.CutPrefix(group, "#"); isID {
			return slices.Contains(a.Groups, id)
		}
		return slices.ContainsFunc(a.Groups, func(id string) bool { return slices.Contains(s.groups[id], group) })
	})
}

// paths are those of the files that a pattern means.
func (s *surveyor) paths(pattern string, by core.PolicyRef) (paths []string) {
	folder, literal := policy.FileFolder(pattern)
	if literal {
		return []string{pattern}
	}
	below, err := s.keeper.cfg.Lists.Below(folder, maxFiles)
	if err != nil {
		s.problem(pattern, by, err.Error())
		s.doubtful = append(s.doubtful, pattern)
	}
	for _, path := range below {
		if s.matches(pattern, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// file notes whom a rule keeps from one file, if that can be done.
func (s *surveyor) file(path string, r *core.FileRule, users []core.UserID) {
	f, err := s.keeper.cfg.Lists.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return // policies may be about what is not there
	}
	if err != nil {
		s.problem(path, r.PolicyRef, err.Error())
		s.doubtful = append(s.doubtful, s.keeper.cfg.Platform.PathKey(path))
		return
	}
	defer f.Close()
	info := f.Info()
	if info.Exec {
		return // a program: that is decided on when it is started
	}
	if _, err := f.Read(); err != nil {
		s.problem(path, r.PolicyRef, err.Error())
		return
	}
	if slices.Contains(users, info.Owner) {
		s.problem(path, r.PolicyRef, fmt.Sprintf("it belongs to user %s, whom no access control list keeps from their own file", info.Owner))
		users = slices.DeleteFunc(slices.Clone(users), func(u core.UserID) bool { return u == info.Owner })
	}
	if len(users) == 0 {
		return
	}
	at := slices.IndexFunc(s.files, func(k *kept) bool { return k.ref.Same(f.Ref()) })
	if at < 0 {
		if len(s.files) == maxFiles {
			s.problem(path, r.PolicyRef, fmt.Sprintf("there are more than %d files to be kept", maxFiles))
			return
		}
		at, s.files = len(s.files), append(s.files, &kept{ref: f.Ref()})
	}
	k := s.files[at]
	k.denied = join(k.denied, users)
	if r.Denies {
		k.absolute = join(k.absolute, users)
	}
	if !slices.Contains(k.policies, r.PolicyRef) {
		k.policies = append(k.policies, r.PolicyRef)
	}
}

// join is the union of two sorted lists.
func join(a, b []core.UserID) []core.UserID {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// watch writes down what policies that only watch would do, when that is news. k.mu is
// held.
func (k *Keeper) watch(list []string) {
	const most = 100
	text := strings.Join(list[:min(len(list), most)], "; ")
	if text != k.watched && text != "" {
		k.tell(Event{What: Watched, Message: text, By: core.ServicePrincipal()})
	}
	k.watched = text
}

// report says which policies are not kept, when that is news. k.mu is held.
func (k *Keeper) report(problems []Problem) {
	for _, p := range problems {
		if !slices.Contains(k.problems, p) {
			k.cfg.Log.Warn("a policy about files is not kept", "file", p.File, "policy", p.Policy.ID, "why", p.Why)
			k.tell(Event{What: Refused, File: p.File, Policies: []core.PolicyRef{p.Policy}, Message: p.Why, By: core.ServicePrincipal()})
		}
	}
	k.problems = problems
}
