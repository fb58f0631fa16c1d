package api

// Row is an operation as openapi.json names it.
type Row struct{ Method, Path, Tier string }

// Rows returns every operation of the API.
func Rows() []Row {
	var rows []Row
	for _, g := range operations(Config{}) {
		for _, o := range g.operations {
			rows = append(rows, Row{o.method, o.path, o.access.name})
		}
	}
	return rows
}
