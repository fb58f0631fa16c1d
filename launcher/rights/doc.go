// Package rights keeps who is in the machine's groups of administrators as policy
// says: it takes people out whom enforced LeastPrivilege policies meet, puts people
// in for as long as a grant of an administrator's rights lasts, and gives back what it
// has taken.
//
// What it is going to change is in its file, durably, and in the journal before the
// machine's group changes; it leaves the file after the group is as it was. So a
// service that is killed at any moment leaves nobody with more or fewer rights than
// the file says, and the next round brings the group in line with it. All changes are
// made by one goroutine, in rounds, each of which may be the first.
//
// It decides about no command, and reads no policy: whom policy wants out says
// KeeperPolicy (core.Removal), and to whom a grant belongs package grant.
package rights
