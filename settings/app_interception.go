package settings

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
)

// maxMounts bounds Interception:Mounts.
const maxMounts = 256

// setMounts takes mount points.
func setMounts(raw json.RawMessage, into *[]string) error {
	var list []string
	if err := decode(raw, &list); err != nil {
		return err
	}
	if len(list) > maxMounts {
		return fmt.Errorf("at most %d", maxMounts)
	}
	if slices.ContainsFunc(list, func(path string) bool { return !filepath.IsAbs(path) || filepath.Clean(path) != path }) {
		return errNotAllowed
	}
	*into = list
	return nil
}
