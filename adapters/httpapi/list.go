package httpapi

import (
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// list is a part of a list. NextCursor leads to the next part and is null with the last one.
type list[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
}

const (
	defaultPageSize = 50
	maxPageSize     = 100
)

// parsePage reads which part of a list is asked for. A cursor is the id of the last item of the part before; clients are told
// nothing of that, so that it can become something else.
func parsePage[ID any](c *fiber.Ctx, parse func(string) (ID, error)) (after ID, limit int, err error) {
	limit = defaultPageSize
	if err := rejectDuplicateParams(c, "limit", "cursor"); err != nil {
		return after, 0, err
	}
	var badLimit, badCursor error
	if text := c.Query("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPageSize {
			badLimit = domain.Invalid("limit", "out_of_range", "ask for 1 to 100 items")
		}
	}
	if text := c.Query("cursor"); text != "" {
		if after, err = parse(text); err != nil {
			badCursor = domain.Invalid("cursor", "invalid_cursor", "send the next_cursor of the page before")
		}
	}
	return after, limit, domain.JoinInvalid(badLimit, badCursor)
}

// rejectDuplicateParams refuses a parameter that stands in the query more than once: which of them counts would be anybody's guess.
func rejectDuplicateParams(c *fiber.Ctx, names ...string) error {
	var faults []error
	for _, name := range names {
		if len(c.Context().QueryArgs().PeekMulti(name)) > 1 {
			faults = append(faults, domain.Invalid(name, "duplicate_parameter", "this parameter stands there twice"))
		}
	}
	return domain.JoinInvalid(faults...)
}
