// Package keeperpolicy is the plugin KeeperPolicy: it loads the agent's policy
// files, keeps the compiled set up to date, and answers the questions that come
// on the topic of its name.
//
// What a policy means is decided in core/policy; what an answer does to a
// request is the service's business alone.
package keeperpolicy
