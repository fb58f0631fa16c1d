package settings

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"kpm/core"
	"kpm/trust/provenance"
)

// maxPaths bounds each list of files.
const maxPaths = 256

func path(key string, field func(*App) *string) entry {
	return entry{key, `""`, "a file", func(a *App, raw json.RawMessage) error { return decode(raw, field(a)) }}
}

func paths(key string, field func(*App) *[]string) entry {
	return entry{key, "[]", "files", func(a *App, raw json.RawMessage) error {
		var list []string
		if err := decode(raw, &list); err != nil {
			return err
		}
		if len(list) > maxPaths {
			return fmt.Errorf("at most %d", maxPaths)
		}
		if slices.Contains(list, "") {
			return errNotAllowed
		}
		*field(a) = list
		return nil
	}}
}

// choose accepts one of some words, in any letter case.
func choose(raw json.RawMessage, into *string, words ...string) error {
	var word string
	if err := decode(raw, &word); err != nil {
		return err
	}
	word = strings.ToLower(word)
	if !slices.Contains(words, word) {
		return errNotAllowed
	}
	*into = word
	return nil
}

// setModes reads one mode for every OS, or one for each; an OS that is not
// named keeps its default.
func setModes(raw json.RawMessage, into *map[core.Platform]Mode) error {
	modes := map[core.Platform]Mode{}
	for name, mode := range *into {
		modes[name] = mode
	}
	var one string
	if decode(raw, &one) == nil {
		for _, name := range core.Platforms() {
			if err := setMode(raw, modes, name); err != nil {
				return err
			}
		}
		*into = modes
		return nil
	}
	var each map[string]json.RawMessage
	if err := decode(raw, &each); err != nil {
		return err
	}
	for given, raw := range each {
		name, known := core.ParsePlatform(given)
		if !known {
			return errNotAllowed
		}
		if err := setMode(raw, modes, name); err != nil {
			return err
		}
	}
	*into = modes
	return nil
}

func setMode(raw json.RawMessage, modes map[core.Platform]Mode, name core.Platform) error {
	var word string
	if err := choose(raw, &word, string(TrustOff), string(TrustWarn), string(TrustEnforce)); err != nil {
		return err
	}
	modes[name] = Mode(word)
	return nil
}

func setRank(raw json.RawMessage, into *core.Rank) error {
	var word string
	if err := choose(raw, &word, core.RankRecorded.String(), core.RankPackaged.String(), core.RankSigned.String()); err != nil {
		return err
	}
	for _, rank := range []core.Rank{core.RankRecorded, core.RankPackaged, core.RankSigned} {
		if rank.String() == word {
			*into = rank
		}
	}
	return nil
}

func setAlternatives(a *App, raw json.RawMessage) error {
	var list []json.RawMessage
	if err := decode(raw, &list); err != nil {
		return err
	}
	if len(list) > maxPaths {
		return fmt.Errorf("at most %d", maxPaths)
	}
	a.Trust.Alternatives = make([]string, len(list))
	for i, raw := range list {
		if err := setThumbprint(raw, &a.Trust.Alternatives[i]); err != nil {
			return err
		}
		if a.Trust.Alternatives[i] == "" {
			return errNotAllowed
		}
	}
	return nil
}

// setThumbprint accepts what people paste: any letter case, spaces and colons
// between the bytes.
func setThumbprint(raw json.RawMessage, into *string) error {
	var text string
	if err := decode(raw, &text); err != nil {
		return err
	}
	text = strings.ToLower(strings.NewReplacer(" ", "", ":", "").Replace(text))
	digest, err := hex.DecodeString(text)
	if err != nil || len(digest) != 0 && len(digest) != 20 && len(digest) != 32 {
		return errNotAllowed
	}
	*into = text
	return nil
}

// Sources are the files of t, absolute.
func (t Trust) Sources(root string) provenance.Sources {
	absolute := func(paths []string) []string {
		list := make([]string, len(paths))
		for i, path := range paths {
			if list[i] = filepath.FromSlash(path); !filepath.IsAbs(list[i]) {
				list[i] = filepath.Join(root, list[i])
			}
		}
		return list
	}
	return provenance.Sources{
		Roots: absolute(t.Roots), TimeStampRoots: absolute(t.TimeStampRoots), AppleRoots: absolute(t.AppleRoots),
		FileCertificates: absolute(t.FileCertificates), OpenPGPKeys: absolute(t.OpenPGPKeys),
		RevocationLists: absolute(t.RevocationLists), Catalogs: absolute(t.Catalogs), Thumbprints: t.Alternatives,
	}
}
