exports = async (each) => {
  const rows = await context.services.get("mongodb-atlas").db("shop").collection("orders").aggregate([
    { $match: { paid: true } },
    { $unwind: "$items" },
    { $group: { _id: "$customer", total: { $sum: "$items.price" }, count: { $sum: 1 } } },
    { $sort: { total: -1 } },
  ]).toArray();
  return rows.map(each);
};
