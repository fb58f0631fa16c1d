package tool

// InSession returns what starts a program, as root, where the windows of user uid
// are: with their bootstrap namespace and audit session. It changes no credentials
// (launchctl(1), "asuser"), which is why the program does so itself.
//
// Not "sudo -u" as other products have it: sudo asks for what we may have put
// before it, and its --preserve-env hands root's environment to the user.
func InSession(uid, program string, arguments ...string) []string {
	return append([]string{Launchctl, "asuser", uid, program}, arguments...)
}
