package conformance

import "golang.org/x/sys/windows"

// who is what the kernel says of this process.
func who() (identity, error) {
	token := windows.GetCurrentProcessToken()
	user, err := token.GetTokenUser()
	if err != nil {
		return identity{}, err
	}
	list, err := token.GetTokenGroups()
	if err != nil {
		return identity{}, err
	}
	var groups []string
	for _, group := range list.AllGroups() {
		groups = append(groups, group.Sid.String())
	}
	return identity{Users: distinct(user.User.Sid.String()), Groups: distinct(groups...)}, nil
}
