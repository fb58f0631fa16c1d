package policy

import (
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// maxFileRules bounds what one answer says of policies about files.
const maxFileRules = 500

// FileRules returns what policies about files keep people from at that time on that
// machine, for whoever has the operating system keep them from it. Policies that ask
// for nothing and deny nothing are left out: what the file itself allows is allowed.
// A policy with a filter job restricts, as one whose job has not answered does, and
// one of a type that nobody knows is about questions and not about files.
func (s *Set) FileRules(machine string, at time.Time) core.FileRules {
	var list core.FileRules
	kind := s.of(TypeFileAccess)
	if kind == nil {
		return list
	}
	a := asked{q: Question{Time: at}, machine: machineName(machine)}
	size := 0
	for _, x := range []*index{&kind.enforcing, &kind.monitoring} {
		for i := range x.rules {
			r := &x.rules[i]
			if r.foreign || !r.denies && r.demands == 0 || !r.now(&a) {
				continue
			}
			rule := r.fileRule(x == &kind.monitoring)
			if len(rule.Files) == 0 {
				continue
			}
			if size += sizeOfRule(rule); len(list.Rules) == maxFileRules || size > wire.MaxMessage/4 {
				list.More++
				continue
			}
			list.Rules = append(list.Rules, rule)
		}
	}
	return list
}

// now reports whether the rule is in force here and now.
func (r *rule) now(a *asked) bool {
	for _, c := range [...]check{checkDates, checkTimes, checkDays, checkMachines} {
		if r.check(c, a) == nothing {
			return false
		}
	}
	return true
}

func (r *rule) fileRule(monitor bool) core.FileRule {
	f := core.FileRule{PolicyRef: r.ref(), Denies: r.denies, Monitor: monitor, Everyone: r.who.any || r.who.open}
	f.Users = slices.Clone(r.who.names)
	for _, id := range r.who.ids {
		f.Users = append(f.Users, "#"+id)
	}
	f.Groups = slices.Clone(r.who.groupNames)
	for _, id := range r.who.groups {
		f.Groups = append(f.Groups, "#"+id)
	}
	folders, _ := r.own.(*folderList)
	programs := r.programs
	if r.open {
		programs = []program{{kind: byAnything}}
	}
	for i := range programs {
		files := programs[i].placed(folders)
		f.Unplaced = f.Unplaced || len(files) == 0
		f.Files = append(f.Files, files...)
	}
	slices.Sort(f.Files)
	f.Files = slices.Compact(f.Files)
	return f
}

// placed returns where the files lie that an entry of ApplicationCheck is about, in
// folders if these are not nil; nothing if the entry does not say.
func (p *program) placed(folders *folderList) (files []string) {
	switch p.kind {
	case byPath, byPattern:
		text := p.String()
		if p.kind == byPattern && strings.Count(p.glob.prefix, "/") < 2 && folders == nil {
			return nil // the top of the file system, or no place at all
		}
		if folders == nil || folders.open || folders.holds(text) {
			return []string{text}
		}
		return nil
	case byHash:
		return nil
	}
	if folders == nil {
		return nil
	}
	name := p.String()
	for _, folder := range folders.folders {
		files = append(files, folder+name)
		if !strings.HasPrefix(name, "*") {
			files = append(files, folder+"*/"+name)
		}
	}
	return files
}

func sizeOfRule(f core.FileRule) int {
	size := len(f.ID) + len(f.Name) + 100
	for _, list := range [][]string{f.Users, f.Groups, f.Files} {
		for _, text := range list {
			size += len(text) + 3
		}
	}
	return size
}

// MatchFile reports whether path is one that a pattern of a FileRule means.
func MatchFile(pattern, path string) bool {
	g := parseGlob(pattern)
	return g.match(path)
}

// FileFolder returns the folder below which everything lies that pattern means, and
// whether pattern is one path alone.
func FileFolder(pattern string) (folder string, literal bool) {
	g := parseGlob(pattern)
	folder, _ = splitPath(g.prefix)
	return folder, g.literal
}
