package broker

// Heard reports whether a message on topic would reach any connection now.
func (b *Broker) Heard(topic string) bool {
	for id := range b.server.Topics.Subscribers(topic).Subscriptions {
		client, ok := b.server.Clients.Get(id)
		if ok && client.Net.Conn.(*conn).mayRead(topic) {
			return true
		}
	}
	return false
}
