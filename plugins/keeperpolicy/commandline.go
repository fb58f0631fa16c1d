package keeperpolicy

import (
	"fmt"
	"strings"

	"kpm/core"
)

// splitCommandLine reads a command line into words, as the system's own shell
// would without expanding anything: quotes keep words together, and on Unix a
// backslash keeps the next character.
func splitCommandLine(line string, platform core.Platform) ([]string, error) {
	var words []string
	var word strings.Builder
	quotes, inside := `'"`, false
	if platform == core.Windows {
		quotes = `"`
	}
	quote := byte(0)
	end := func() {
		if inside {
			words = append(words, word.String())
			word.Reset()
			inside = false
		}
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && platform != core.Windows && quote != '\'':
			if i++; i == len(line) {
				return nil, fmt.Errorf("found %q, which ends in a backslash", line)
			}
			if quote == '"' && !strings.ContainsRune(`"\$`+"`", rune(line[i])) {
				word.WriteByte('\\')
			}
			word.WriteByte(line[i])
			inside = true
		case quote == 0 && strings.IndexByte(quotes, c) >= 0:
			quote, inside = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			end()
		default:
			word.WriteByte(c)
			inside = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("found %q, in which a quote is not closed", line)
	}
	end()
	return words, nil
}
