-- An operator looks through the keys of one account, page by page in the order in which they were issued.
create index keys_account on ledger.keys (account_id, api_key_id);
