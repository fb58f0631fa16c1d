// Package approval keeps what approvers are asked and what they have said:
// docs/approvals.md in code.
//
// A record says who wants to run what, and may be decided on as the table in
// table.go has it and in no other way, whoever asks: a command, the API or a
// dialog. Records are on the disk before anybody hears of them. They move no
// request: package launcher asks whether one is there for a request, and uses it
// up (decision 31).
package approval
