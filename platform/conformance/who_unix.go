//go:build unix

package conformance

import (
	"os"
	"strconv"
)

// who is what the kernel says of this process.
func who() (identity, error) {
	supplementary, err := os.Getgroups()
	if err != nil {
		return identity{}, err
	}
	id := identity{Users: distinct(strconv.Itoa(os.Getuid()), strconv.Itoa(os.Geteuid()))}
	groups := []string{strconv.Itoa(os.Getgid()), strconv.Itoa(os.Getegid())}
	for _, group := range supplementary {
		groups = append(groups, strconv.Itoa(group))
	}
	id.Groups = distinct(groups...)
	return id, nil
}
