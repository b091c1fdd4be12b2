package postgres

// restoreAll turns rows into what they hold, in their order.
func restoreAll[Row, Aggregate any](rows []Row, restore func(Row) (*Aggregate, error)) ([]*Aggregate, error) {
	all := make([]*Aggregate, len(rows))
	for i, row := range rows {
		var err error
		if all[i], err = restore(row); err != nil {
			return nil, err
		}
	}
	return all, nil
}
