package settings

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// setPluginPath keeps plugins below the agent root, whose protection is
// checked at start.
func setPluginPath(a *App, raw json.RawMessage) error {
	var path string
	if err := decode(raw, &path); err != nil {
		return err
	}
	if path = filepath.Clean(path); !filepath.IsLocal(path) || path == "." {
		return errNotAllowed
	}
	a.PluginPath = path
	return nil
}

// setLoopback keeps the broker off the network: its rules are about local
// processes (decision 10).
func setLoopback(a *App, raw json.RawMessage) error {
	var text string
	if err := decode(raw, &text); err != nil {
		return err
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.IsLoopback() {
		return errNotAllowed
	}
	a.MQTTAddress = addr
	return nil
}

// maxMasks and maxMask bound what every journalled argument is matched with.
const (
	maxMasks = 64
	maxMask  = 1024
)

func setMask(a *App, raw json.RawMessage) error {
	var texts []string
	if err := decode(raw, &texts); err != nil {
		return err
	}
	if len(texts) > maxMasks {
		return fmt.Errorf("at most %d", maxMasks)
	}
	masks := make([]*regexp.Regexp, len(texts))
	for i, text := range texts {
		if len(text) > maxMask {
			return fmt.Errorf("each at most %d bytes", maxMask)
		}
		mask, err := regexp.Compile(text)
		if err != nil {
			return err
		}
		masks[i] = mask
	}
	a.Journal.Mask = masks
	return nil
}

// setAgents accepts names of programs and parts of paths. A part that is one slash
// would be in every path.
func setAgents(a *App, raw json.RawMessage) error {
	var list []string
	if err := decode(raw, &list); err != nil {
		return err
	}
	if len(list) > maxPaths {
		return fmt.Errorf("at most %d", maxPaths)
	}
	for _, entry := range list {
		if strings.Trim(entry, `/\ `) == "" {
			return errNotAllowed
		}
	}
	a.CodingAgents = list
	return nil
}

// Bounds of lines that people are shown.
const (
	maxLines = 16
	maxLine  = 256 // bytes
)

// setLines accepts lines of text, of which people are told as they are.
func setLines(raw json.RawMessage, into *[]string) error {
	var list []string
	if err := decode(raw, &list); err != nil {
		return err
	}
	if len(list) > maxLines {
		return fmt.Errorf("at most %d", maxLines)
	}
	for _, line := range list {
		if strings.TrimSpace(line) == "" || len(line) > maxLine || strings.ContainsFunc(line, unicode.IsControl) {
			return errNotAllowed
		}
	}
	*into = list
	return nil
}

// setFactors accepts kinds of factors, each once.
func setFactors(a *App, raw json.RawMessage) error {
	var list []string
	if err := decode(raw, &list); err != nil {
		return err
	}
	if len(list) == 0 {
		return errNotAllowed
	}
	for i, kind := range list {
		if kind != "totp" && kind != "pam" || slices.Contains(list[:i], kind) {
			return errNotAllowed
		}
	}
	a.MFA.Factors = list
	return nil
}

// setProgramNames accepts base names of programs.
func setProgramNames(a *App, raw json.RawMessage) error {
	var names []string
	if err := decode(raw, &names); err != nil {
		return err
	}
	if len(names) > maxPaths {
		return fmt.Errorf("at most %d", maxPaths)
	}
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, `/\`) {
			return errNotAllowed
		}
	}
	a.SessionPrograms = names
	return nil
}
